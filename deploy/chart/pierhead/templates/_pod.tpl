{{- /*
A probe that asks for the health path on the health port unless it says otherwise; where Pods take
each other's place it asks the process itself. Starting a program takes longer than a request: it
gets 5 seconds where the usual one is there. Takes root and probe.
*/ -}}
{{- define "pierhead.probe" -}}
{{- $probe := deepCopy .probe -}}
{{- if and (include "pierhead.takeover" .root) (include "pierhead.plainProbe" $probe) -}}
{{- $_ := unset $probe "httpGet" -}}
{{- $_ := set $probe "exec" (dict "command" (list "/pierhead" "healthz")) -}}
{{- if le (int (default 1 $probe.timeoutSeconds)) 1 -}}{{- $_ := set $probe "timeoutSeconds" 5 -}}{{- end -}}
{{- else if kindIs "map" (get $probe "httpGet") -}}
{{- $path := include "pierhead.port" (dict "root" .root "flag" "health-check-path" "value" .root.Values.controller.healthCheckPath) -}}
{{- $port := include "pierhead.port" (dict "root" .root "flag" "healthz-port" "value" .root.Values.controller.metrics.port) -}}
{{- $_ := set $probe "httpGet" (merge $probe.httpGet (dict "path" $path "port" (int $port))) -}}
{{- end -}}
{{- toYaml $probe -}}
{{- end -}}

{{- /* Whether Pierhead gets a folder of its own for temporary files: unless the values mount one there. */ -}}
{{- define "pierhead.temporary" -}}
{{- $taken := false -}}
{{- range .Values.controller.extraVolumeMounts -}}{{- if eq (trimSuffix "/" .mountPath) "/tmp" -}}{{- $taken = true -}}{{- end -}}{{- end -}}
{{- if not $taken -}}true{{- end -}}
{{- end -}}

{{- define "pierhead.container" -}}
{{- $c := .Values.controller -}}
name: {{ $c.containerName }}
image: {{ include "pierhead.controller.image" . }}
imagePullPolicy: {{ $c.image.pullPolicy }}
command: [/pierhead, controller]
args:
  {{- include "pierhead.flags" . | nindent 2 }}
{{- with $c.lifecycle }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- $add := ternary (list "NET_BIND_SERVICE") list (contains "true" (include "pierhead.lowPorts" .)) }}
  {{- include "pierhead.securityContext" (dict "own" $c.containerSecurityContext "image" $c.image "add" $add) | nindent 2 }}
env:
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: POD_NAMESPACE
    valueFrom:
      fieldRef:
        fieldPath: metadata.namespace
  {{- if eq "self" (include "pierhead.webhook.maker" .) }}
  # Where the webhook's certificate is kept, and whom it is for.
  - name: PIERHEAD_WEBHOOK_SECRET
    value: {{ include "pierhead.webhook.secret" . }}
  - name: PIERHEAD_WEBHOOK_SERVICE
    value: {{ include "pierhead.controller.fullname" . }}-admission
  - name: PIERHEAD_WEBHOOK_CONFIGURATION
    value: {{ include "pierhead.webhook.fullname" . }}
  {{- end }}
  {{- with $c.extraEnvs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- range $name := list "startupProbe" "livenessProbe" "readinessProbe" }}
{{- with get $c $name }}
{{ $name }}:
  {{- include "pierhead.probe" (dict "root" $ "probe" .) | nindent 2 }}
{{- end }}
{{- end }}
{{- if not (include "pierhead.takeover" .) }}
ports:
  {{- range $name, $port := $c.containerPort }}
  - name: {{ $name }}
    containerPort: {{ $port }}
    protocol: TCP
    {{- if $c.hostPort.enabled }}
    hostPort: {{ default $port (get (default dict $c.hostPort.ports) $name) }}
    {{- end }}
  {{- end }}
  {{- if $c.http3.enabled }}
  - name: http3
    containerPort: {{ $c.containerPort.https }}
    protocol: UDP
    {{- if $c.hostPort.enabled }}
    hostPort: {{ default $c.containerPort.https (get (default dict $c.hostPort.ports) "https") }}
    {{- end }}
  {{- end }}
  {{- if $c.metrics.enabled }}
  - name: {{ $c.metrics.portName }}
    containerPort: {{ include "pierhead.port" (dict "root" . "flag" "healthz-port" "value" $c.metrics.port) }}
    protocol: TCP
  {{- end }}
  {{- if $c.admissionWebhooks.enabled }}
  - name: webhook
    containerPort: {{ $c.admissionWebhooks.port }}
    protocol: TCP
  {{- end }}
  {{- range $protocol := list "tcp" "udp" }}
  {{- range $port, $to := index $.Values $protocol }}
  - name: {{ include "pierhead.portName" (dict "root" $ "port" $port "protocol" $protocol) }}
    containerPort: {{ $port }}
    protocol: {{ upper $protocol }}
    {{- if $c.hostPort.enabled }}
    hostPort: {{ $port }}
    {{- end }}
  {{- end }}
  {{- end }}
{{- end }}
{{- with $c.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $c.resizePolicy }}
resizePolicy:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $mounts := list -}}
{{- if include "pierhead.temporary" . -}}{{- $mounts = append $mounts (dict "name" "pierhead-tmp" "mountPath" "/tmp") -}}{{- end -}}
{{- if has (include "pierhead.webhook.maker" .) (list "manager" "other") -}}
{{- $mounts = append $mounts (dict "name" "webhook-cert" "mountPath" (dir $c.admissionWebhooks.certificate) "readOnly" true) -}}
{{- end -}}
{{- with concat $mounts (default list $c.extraVolumeMounts) }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "pierhead.volumes" -}}
{{- $w := .Values.controller.admissionWebhooks -}}
{{- $volumes := list -}}
{{- if include "pierhead.temporary" . -}}{{- $volumes = append $volumes (dict "name" "pierhead-tmp" "emptyDir" dict) -}}{{- end -}}
{{- $secret := dict "secretName" (include "pierhead.webhook.fullname" .) -}}
{{- $maker := include "pierhead.webhook.maker" . -}}
{{- if eq $maker "manager" -}}
{{- $_ := set $secret "items" (list (dict "key" "tls.crt" "path" (base $w.certificate)) (dict "key" "tls.key" "path" (base $w.key))) -}}
{{- end -}}
{{- if has $maker (list "manager" "other") -}}{{- $volumes = append $volumes (dict "name" "webhook-cert" "secret" $secret) -}}{{- end -}}
{{- with concat $volumes (default list .Values.controller.extraVolumes) -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{- define "pierhead.podSpec" -}}
{{- $c := .Values.controller -}}
{{- include "pierhead.fields" (dict "of" $c "names" (list "dnsPolicy" "dnsConfig" "hostname" "priorityClassName" "runtimeClassName" "shareProcessNamespace" "hostNetwork" "nodeSelector" "tolerations")) }}
{{- range $name := list "hostAliases" "affinity" "topologySpreadConstraints" }}
{{- with get $c $name }}
{{ $name }}:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
serviceAccountName: {{ include "pierhead.serviceAccount" . }}
automountServiceAccountToken: {{ .Values.serviceAccount.automountServiceAccountToken }}
terminationGracePeriodSeconds: {{ $c.terminationGracePeriodSeconds }}
{{- $security := deepCopy (default dict $c.podSecurityContext) -}}
{{- if $c.sysctls -}}
{{- $sysctls := list -}}
{{- range $name, $value := $c.sysctls -}}{{- $sysctls = append $sysctls (dict "name" $name "value" (toString $value)) -}}{{- end -}}
{{- $_ := set $security "sysctls" $sysctls -}}
{{- end -}}
{{- with $security }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $c.extraInitContainers }}
initContainers:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
containers:
  - {{- include "pierhead.container" . | nindent 4 }}
  {{- with $c.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with include "pierhead.volumes" . }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}
