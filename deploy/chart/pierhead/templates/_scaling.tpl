{{- /* What sets the number of Pods: hpa, keda, or none. Both together cancel each other out. */ -}}
{{- define "pierhead.scaler" -}}
{{- with .Values.controller -}}
{{- if or (ne .kind "Deployment") (eq .autoscaling.enabled .keda.enabled) -}}none
{{- else -}}{{- ternary "hpa" "keda" .autoscaling.enabled -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The spec of a HorizontalPodAutoscaler. Takes of (autoscaling), name, and more metrics. */ -}}
{{- define "pierhead.scaling" -}}
scaleTargetRef:
  apiVersion: apps/v1
  kind: Deployment
  name: {{ .name }}
minReplicas: {{ .of.minReplicas }}
maxReplicas: {{ .of.maxReplicas }}
metrics:
  {{- range $resource, $percent := dict "cpu" .of.targetCPUUtilizationPercentage "memory" .of.targetMemoryUtilizationPercentage }}
  {{- if $percent }}
  - type: Resource
    resource:
      name: {{ $resource }}
      target:
        type: Utilization
        averageUtilization: {{ $percent }}
  {{- end }}
  {{- end }}
  {{- with .more }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .of.behavior }}
behavior:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The spec of a PodDisruptionBudget. Takes root, of, component. */ -}}
{{- define "pierhead.disruption" -}}
selector:
  matchLabels:
    {{- include "pierhead.selector" . | nindent 4 }}
{{- if hasKey .of "maxUnavailable" }}
maxUnavailable: {{ .of.maxUnavailable }}
{{- else if .of.minAvailable }}
minAvailable: {{ .of.minAvailable }}
{{- end }}
{{- with .of.unhealthyPodEvictionPolicy }}
unhealthyPodEvictionPolicy: {{ . }}
{{- end }}
{{- end -}}
