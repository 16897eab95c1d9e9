{{- /*
A release of ingress-nginx that becomes one of Pierhead would lose its Service, and with it the
address of its load balancer, if the objects got other names. It is refused then.
*/ -}}
{{- define "pierhead.refuseToMove" -}}
{{- if .Release.IsUpgrade -}}
{{- $theirs := ternary .Release.Name (printf "%s-ingress-nginx" .Release.Name) (contains "ingress-nginx" .Release.Name) -}}
{{- if ne (include "pierhead.fullname" .) (include "pierhead.cut" $theirs) -}}
{{- range $kind := list "Deployment" "DaemonSet" -}}
{{- $found := lookup "apps/v1" $kind (include "pierhead.namespace" $) (include "pierhead.cut" (printf "%s-%s" $theirs $.Values.controller.name)) -}}
{{- if and $found (eq "ingress-nginx" (dig "metadata" "labels" "app.kubernetes.io/name" "" $found)) -}}
{{- fail (printf "release %s is one of ingress-nginx: with other names its Service would be deleted and its address lost. Set nameOverride=ingress-nginx, or install a release of another name beside it" $.Release.Name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
