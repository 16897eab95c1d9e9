{{- /*
What Pierhead reads in the namespaces it serves, and what it writes there: the status of
Ingresses, and Events about what is wrong.
*/ -}}
{{- define "pierhead.rules.served" -}}
{{- if .Values.controller.scope.enabled }}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- end }}
- apiGroups: [""]
  resources: [configmaps, secrets, services]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [{{ if include "pierhead.writesStatus" . }}get, {{ end }}list, watch]
{{- if include "pierhead.writesStatus" . }}
- apiGroups: [networking.k8s.io]
  resources: [ingresses/status]
  verbs: [update]
{{- end }}
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- /* What has no namespace. */ -}}
{{- define "pierhead.rules.everywhere" -}}
- apiGroups: [networking.k8s.io]
  resources: [ingressclasses]
  verbs: [list, watch]
{{- if and (not .Values.controller.scope.enabled) .Values.controller.scope.namespaceSelector }}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- if include "pierhead.needsNodes" . }}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get]
{{- end }}
{{- end -}}

{{- /* Whether the status of Ingresses is written. */ -}}
{{- define "pierhead.writesStatus" -}}
{{- if ne "false" (toString (get (default dict .Values.controller.extraArgs) "update-status")) -}}true{{- end -}}
{{- end -}}

{{- /* Whether somebody is to know the Pods: on which nodes they are, or who is the last to end. */ -}}
{{- define "pierhead.needsPods" -}}
{{- $atEnd := ne "false" (toString (get (default dict .Values.controller.extraArgs) "update-status-on-shutdown")) -}}
{{- if or (include "pierhead.needsNodes" .) (and (include "pierhead.writesStatus" .) $atEnd) -}}true{{- end -}}
{{- end -}}

{{- /* Whether the status of Ingresses gets the addresses of nodes, or endpoints go by zones. */ -}}
{{- define "pierhead.needsNodes" -}}
{{- $args := default dict .Values.controller.extraArgs -}}
{{- $writes := include "pierhead.writesStatus" . -}}
{{- $known := or (include "pierhead.publishService" .) (get $args "publish-service") (get $args "publish-status-address") -}}
{{- if or (and $writes (not $known)) .Values.controller.enableTopologyAwareRouting (hasKey $args "enable-topology-aware-routing") -}}true{{- end -}}
{{- end -}}

{{- /* What it needs in its own namespace: its lease, its Pods, and what its flags name. */ -}}
{{- define "pierhead.rules.own" -}}
{{- if include "pierhead.needsPods" . }}
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- end }}
{{- if .Values.controller.scope.enabled }}
- apiGroups: [""]
  resources: [configmaps, secrets, services]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- end }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "pierhead.leaseName" . }}]
  verbs: [get, update]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
{{- end -}}

{{- /*
What it takes to keep the webhook's certificate: one Secret, and where the API server looks. A
Secret that was deleted is made by an apply, which "create" allows for one name alone.
*/ -}}
{{- define "pierhead.rules.certificate" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ include "pierhead.webhook.secret" . }}]
  verbs: [get, create, patch]
{{- end -}}

{{- define "pierhead.rules.bundle" -}}
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingwebhookconfigurations]
  resourceNames: [{{ include "pierhead.webhook.fullname" . }}]
  verbs: [get, patch]
{{- end -}}

{{- /* A role and its binding. Takes root, kind (Role or ClusterRole), name, namespace, component, rules. */ -}}
{{- define "pierhead.role" -}}
{{- $labels := ternary .root.Values.controller.admissionWebhooks.labels .root.Values.controller.labels (eq .component "admission-webhook") -}}
{{- $meta := include "pierhead.metadata" (dict "root" .root "name" .name "namespace" .namespace "component" .component "more" (list $labels)) -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  {{- $meta | nindent 2 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  {{- $meta | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "pierhead.serviceAccount" .root }}
    namespace: {{ include "pierhead.namespace" .root }}
{{- end -}}
