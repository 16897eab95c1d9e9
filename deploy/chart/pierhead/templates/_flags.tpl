{{- /*
The flags of the controller. Those of extraArgs come last, as they are; a flag that is there is
not made from another value as well.
*/ -}}
{{- define "pierhead.flags" -}}
{{- $c := .Values.controller -}}
{{- $flags := dict
  "election-id" (include "pierhead.leaseName" .)
  "controller-class" $c.ingressClassResource.controllerValue
  "configmap" (printf "%s/%s" (default "$(POD_NAMESPACE)" $c.configMapNamespace) (include "pierhead.controller.fullname" .))
  "ingress-class" $c.ingressClass
  "publish-service" (include "pierhead.publishService" .)
  "election-ttl" $c.electionTTL
  "healthz-host" $c.healthCheckHost
  "disable-leader-election" $c.disableLeaderElection
  "enable-topology-aware-routing" $c.enableTopologyAwareRouting
  "ingress-class-by-name" $c.ingressClassByName
  "watch-ingress-without-class" $c.watchIngressWithoutClass
  "enable-metrics" $c.metrics.enabled
  "takeover" (eq "true" (include "pierhead.takeover" .))
  "report-node-internal-ip-address" (and $c.reportNodeInternalIp $c.hostNetwork)
-}}
{{- if .Values.defaultBackend.enabled -}}{{- $_ := set $flags "default-backend-service" (printf "$(POD_NAMESPACE)/%s" (include "pierhead.backend.fullname" .)) -}}{{- end -}}
{{- range $protocol := list "tcp" "udp" -}}
{{- if index $.Values $protocol -}}
{{- $namespace := default "$(POD_NAMESPACE)" (index $c $protocol).configMapNamespace -}}
{{- $_ := set $flags (printf "%s-services-configmap" $protocol) (printf "%s/%s-%s" $namespace (include "pierhead.fullname" $) $protocol) -}}
{{- end -}}
{{- end -}}
{{- if $c.scope.enabled -}}
{{- $_ := set $flags "watch-namespace" (default "$(POD_NAMESPACE)" $c.scope.namespace) -}}
{{- else -}}
{{- $_ := set $flags "watch-namespace-selector" $c.scope.namespaceSelector -}}
{{- end -}}
{{- range $protocol, $usual := dict "http" 80 "https" 443 -}}
{{- $port := get (default dict $c.containerPort) $protocol -}}
{{- if and $port (ne (int $port) $usual) -}}{{- $_ := set $flags (printf "%s-port" $protocol) (toString $port) -}}{{- end -}}
{{- end -}}
{{- if ne (int $c.metrics.port) 10254 -}}{{- $_ := set $flags "healthz-port" (toString $c.metrics.port) -}}{{- end -}}
{{- if ne $c.healthCheckPath "/healthz" -}}{{- $_ := set $flags "health-check-path" $c.healthCheckPath -}}{{- end -}}
{{- $flags = mergeOverwrite $flags (include "pierhead.webhook.flags" . | fromYaml) -}}
{{- $args := list -}}
{{- range $flag, $value := $flags -}}
{{- if and $value (not (hasKey (default dict $c.extraArgs) $flag)) -}}{{- $args = append $args (printf "--%s=%v" $flag $value) -}}{{- end -}}
{{- end -}}
{{- range $flag, $value := $c.extraArgs -}}
{{- $text := toString (default "" $value) -}}
{{- if kindIs "bool" $value -}}{{- $text = toString $value -}}{{- end -}}
{{- $args = append $args (ternary (printf "--%s" $flag) (printf "--%s=%s" $flag $text) (eq $text "")) -}}
{{- end -}}
{{- toYaml $args -}}
{{- end -}}

{{- /* Whether the second Service is made: without annotations it would be a second public one. */ -}}
{{- define "pierhead.service.internal" -}}
{{- with .Values.controller.service -}}{{- if and .enabled .internal.enabled .internal.annotations -}}true{{- end -}}{{- end -}}
{{- end -}}

{{- /* The Service whose addresses the Ingresses get, as namespace/name; nothing when there is none. */ -}}
{{- define "pierhead.publishService" -}}
{{- $s := .Values.controller.service -}}
{{- $own := printf "$(POD_NAMESPACE)/%s" (include "pierhead.controller.fullname" .) -}}
{{- if .Values.controller.publishService.enabled -}}
{{- if .Values.controller.publishService.pathOverride -}}{{- .Values.controller.publishService.pathOverride -}}
{{- else if and $s.enabled $s.external.enabled -}}{{- $own -}}
{{- else if include "pierhead.service.internal" . -}}{{- $own -}}-internal
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The port that a flag in extraArgs says, or else a value. Takes root, flag, value. */ -}}
{{- define "pierhead.port" -}}
{{- default .value (get (default dict .root.Values.controller.extraArgs) .flag) -}}
{{- end -}}

{{- /* Whether a port below 1024 is listened on, which needs a capability. */ -}}
{{- define "pierhead.lowPorts" -}}
{{- $ports := list -}}
{{- $own := default dict .Values.controller.containerPort -}}
{{- $ports = append $ports (include "pierhead.port" (dict "root" . "flag" "http-port" "value" (default 80 (get $own "http")))) -}}
{{- $ports = append $ports (include "pierhead.port" (dict "root" . "flag" "https-port" "value" (default 443 (get $own "https")))) -}}
{{- $ports = append $ports (include "pierhead.port" (dict "root" . "flag" "healthz-port" "value" .Values.controller.metrics.port)) -}}
{{- if .Values.controller.admissionWebhooks.enabled -}}{{- $ports = append $ports .Values.controller.admissionWebhooks.port -}}{{- end -}}
{{- $ports = concat $ports (keys (default dict .Values.tcp)) (keys (default dict .Values.udp)) -}}
{{- range $ports -}}{{- if lt (int .) 1024 -}}true{{- end -}}{{- end -}}
{{- end -}}
