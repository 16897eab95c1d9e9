{{- /* Names and labels. With nameOverride=ingress-nginx they are those of ingress-nginx's chart. */ -}}

{{- define "pierhead.cut" -}}
{{- . | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "pierhead.name" -}}
{{- include "pierhead.cut" (default .Chart.Name .Values.nameOverride) -}}
{{- end -}}

{{- define "pierhead.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- include "pierhead.cut" (default $both .Values.fullnameOverride) -}}
{{- end -}}

{{- define "pierhead.namespace" -}}
{{- include "pierhead.cut" (default .Release.Namespace .Values.namespaceOverride) -}}
{{- end -}}

{{- define "pierhead.controller.fullname" -}}
{{- include "pierhead.cut" (printf "%s-%s" (include "pierhead.fullname" .) .Values.controller.name) -}}
{{- end -}}

{{- define "pierhead.webhook.fullname" -}}
{{- include "pierhead.cut" (printf "%s-%s" (include "pierhead.fullname" .) .Values.controller.admissionWebhooks.name) -}}
{{- end -}}

{{- define "pierhead.backend.fullname" -}}
{{- include "pierhead.cut" (printf "%s-%s" (include "pierhead.fullname" .) .Values.defaultBackend.name) -}}
{{- end -}}

{{- define "pierhead.serviceAccount" -}}
{{- $own := ternary (include "pierhead.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $own .Values.serviceAccount.name -}}
{{- end -}}

{{- define "pierhead.backend.serviceAccount" -}}
{{- $own := ternary (printf "%s-backend" (include "pierhead.fullname" .)) "default" .Values.defaultBackend.serviceAccount.create -}}
{{- default $own .Values.defaultBackend.serviceAccount.name -}}
{{- end -}}

{{- define "pierhead.leaseName" -}}
{{- default (printf "%s-leader" (include "pierhead.fullname" .)) .Values.controller.electionID -}}
{{- end -}}

{{- /* What finds the Pods of a component; it never changes. Takes root and component. */ -}}
{{- define "pierhead.selector" -}}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/name: {{ include "pierhead.name" .root }}
{{- end -}}

{{- /* Labels of an object. Takes root, component and more: lists of further labels. */ -}}
{{- define "pierhead.labels" -}}
{{- $labels := include "pierhead.selector" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" (include "pierhead.name" .root) -}}
{{- $_ := set $labels "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_") -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- if not .pod -}}
{{- $_ := set $labels "helm.sh/chart" (include "pierhead.cut" (printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_"))) -}}
{{- end -}}
{{- range (prepend (default list .more) .root.Values.commonLabels) -}}
{{- range $key, $value := . -}}{{- $_ := set $labels $key (toString $value) -}}{{- end -}}
{{- end -}}
{{- $labels = mergeOverwrite $labels (include "pierhead.selector" . | fromYaml) -}}
{{- toYaml $labels -}}
{{- end -}}

{{- /*
Metadata of an object. Takes root, name, component, more (labels), annotations, and namespace:
left out it is the release's, "" is none.
*/ -}}
{{- define "pierhead.metadata" -}}
name: {{ .name }}
{{- $namespace := "" -}}
{{- if hasKey . "namespace" -}}{{- $namespace = .namespace -}}{{- else -}}{{- $namespace = include "pierhead.namespace" .root -}}{{- end -}}
{{- with $namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- include "pierhead.labels" . | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- range $key, $value := . }}
  {{ $key }}: {{ tpl (toString $value) $.root | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* The entries of .of with these names that say something, as they are. */ -}}
{{- define "pierhead.fields" -}}
{{- $of := .of -}}
{{- $out := dict -}}
{{- range .names -}}
{{- $value := get $of . -}}
{{- if $value -}}{{- $_ := set $out . $value -}}{{- end -}}
{{- end -}}
{{- if $out -}}{{- toYaml $out -}}{{- end -}}
{{- end -}}
