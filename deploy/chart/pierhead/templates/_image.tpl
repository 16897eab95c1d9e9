{{- /*
Whether the controller's image in the values is ingress-nginx's own: then its name, tag and digest
do not stand for one of ours. The tags of ingress-nginx begin with v, ours never do.
*/ -}}
{{- define "pierhead.image.foreign" -}}
{{- with .Values.controller.image -}}
{{- if or (regexMatch "ingress-(nginx|controller)" (printf "%s %s" .repository .image)) (regexMatch "^v[0-9]" (toString .tag)) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The name of an image. Takes image and registry (where none is given). */ -}}
{{- define "pierhead.image" -}}
{{- $name := default (printf "%s/%s" .registry .image.image) .image.repository -}}
{{- $name }}:{{ .image.tag }}{{ with .image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{- define "pierhead.controller.image" -}}
{{- $image := deepCopy .Values.controller.image -}}
{{- $registries := list $image.registry .Values.global.image.registry -}}
{{- if include "pierhead.image.foreign" . -}}
{{- $image = dict "image" "pierhead/pierhead" -}}
{{- end -}}
{{- $_ := set $image "tag" (default .Chart.AppVersion $image.tag) -}}
{{- $registry := "ghcr.io" -}}
{{- range reverse $registries -}}
{{- if and . (ne . "registry.k8s.io") -}}{{- $registry = . -}}{{- end -}}
{{- end -}}
{{- include "pierhead.image" (dict "image" $image "registry" $registry) -}}
{{- end -}}

{{- define "pierhead.backend.image" -}}
{{- $image := .Values.defaultBackend.image -}}
{{- $registry := coalesce $image.registry .Values.global.image.registry "registry.k8s.io" -}}
{{- include "pierhead.image" (dict "image" $image "registry" $registry) -}}
{{- end -}}

{{- /* The security context of a container. Takes own (the user's), image, and add (capabilities). */ -}}
{{- define "pierhead.securityContext" -}}
{{- if .own -}}
{{- toYaml .own -}}
{{- else -}}
{{- $capabilities := dict "drop" (list "ALL") -}}
{{- with .add -}}{{- $_ := set $capabilities "add" . -}}{{- end -}}
{{- $context := pick .image "runAsNonRoot" "runAsUser" "runAsGroup" "allowPrivilegeEscalation" "seccompProfile" "readOnlyRootFilesystem" -}}
{{- toYaml (set $context "capabilities" $capabilities) -}}
{{- end -}}
{{- end -}}
