{{- /*
Who makes the webhook's certificate: "manager" is cert-manager, "self" is Pierhead, "other" is
whoever fills the Secret.
*/ -}}
{{- define "pierhead.webhook.maker" -}}
{{- with .Values.controller.admissionWebhooks -}}
{{- if not .enabled -}}
{{- else if .certManager.enabled -}}manager
{{- else if .patch.enabled -}}self
{{- else -}}other
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The Secret that Pierhead keeps its certificate in. Another name than ingress-nginx's, which stays for the way back. */ -}}
{{- define "pierhead.webhook.secret" -}}
{{- include "pierhead.cut" (printf "%s-webhook" (include "pierhead.fullname" .)) -}}
{{- end -}}

{{- define "pierhead.webhook.flags" -}}
{{- $w := .Values.controller.admissionWebhooks -}}
{{- $maker := include "pierhead.webhook.maker" . -}}
{{- if $maker }}
validating-webhook: {{ printf ":%v" $w.port | quote }}
{{- if ne $maker "self" }}
validating-webhook-certificate: {{ $w.certificate }}
validating-webhook-key: {{ $w.key }}
{{- end }}
{{- end }}
{{- end -}}
