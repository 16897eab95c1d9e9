{{- /*
Compares values with known.yaml. Takes values, known, path (with a dot at its end), and found: a
dict whose "useless" (reason to names) and "unknown" (names) are filled.
*/ -}}
{{- define "pierhead.compare" -}}
{{- $known := .known -}}
{{- $found := .found -}}
{{- $path := .path -}}
{{- range $name, $value := .values -}}
{{- $here := printf "%s%s" $path $name -}}
{{- $entry := get $known $name -}}
{{- if and (kindIs "map" $entry) (kindIs "map" $value) -}}
{{- include "pierhead.compare" (dict "values" $value "known" $entry "path" (printf "%s." $here) "found" $found) -}}
{{- else if kindIs "map" $entry -}}
{{- $_ := set $found "unknown" (append $found.unknown (printf "%s (it should be a map)" $here)) -}}
{{- else if not $entry -}}
{{- $_ := set $found "unknown" (append $found.unknown $here) -}}
{{- else if ne $entry "honoured" -}}
{{- $_ := set $found.useless $entry (append (default list (get $found.useless $entry)) $here) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What has no effect because of what else is set: lines for the notes. */ -}}
{{- define "pierhead.contradictions" -}}
{{- $c := .Values.controller -}}
{{- if include "pierhead.image.foreign" . }}
controller.image.image, repository, tag and digest: they name an image of ingress-nginx; {{ include "pierhead.controller.image" . }} is used
{{- end }}
{{- if and $c.service.internal.enabled (not (include "pierhead.service.internal" .)) }}
controller.service.internal: without annotations it would be a second public Service; it is not made
{{- end }}
{{- if and (eq $c.kind "DaemonSet") (or $c.autoscaling.enabled $c.keda.enabled) }}
controller.autoscaling, controller.keda: a DaemonSet has a Pod on each node
{{- else if and $c.autoscaling.enabled $c.keda.enabled }}
controller.autoscaling, controller.keda: both are enabled, so neither is used
{{- end }}
{{- if and (eq $c.kind "DaemonSet") (gt (int $c.replicaCount) 1) }}
controller.replicaCount: a DaemonSet has a Pod on each node
{{- end }}
{{- if and $c.reportNodeInternalIp (not $c.hostNetwork) }}
controller.reportNodeInternalIp: only Pods with hostNetwork have their node's address
{{- end }}
{{- if and (include "pierhead.takeover" .) $c.hostPort.enabled }}
controller.hostPort: Pods that take each other's place in the node's network declare no ports
{{- end }}
{{- if and $c.scope.enabled $c.scope.namespaceSelector }}
controller.scope.namespaceSelector: scope.enabled names one namespace
{{- end }}
{{- if and (not $c.metrics.enabled) (or $c.metrics.serviceMonitor.enabled $c.metrics.prometheusRule.enabled) }}
controller.metrics.serviceMonitor, controller.metrics.prometheusRule: controller.metrics.enabled is false
{{- end }}
{{- end -}}

{{- /* What to know about Pods in the nodes' network: lines for the notes. */ -}}
{{- define "pierhead.host" -}}
{{- $c := .Values.controller -}}
{{- if or $c.hostNetwork $c.hostPort.enabled }}
The namespace must allow such Pods: Pod Security "privileged".
{{- end }}
{{- if and $c.hostNetwork (eq $c.kind "DaemonSet") (not (include "pierhead.takeover" .)) }}
While a Pod is replaced its node refuses connections. With controller.updateStrategy
{type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}} the new Pod takes over the
sockets of the old one, and none is refused.
{{- end }}
{{- if include "pierhead.takeover" . }}
New Pods take over the sockets of the old ones. Pods from before --takeover do not hand them
over: delete them once, node by node, and the new ones that wait for their ports go on.
{{- range $name := list "startupProbe" "livenessProbe" "readinessProbe" }}
{{- $probe := get $c $name }}
{{- if and $probe (not (include "pierhead.plainProbe" $probe)) (or $probe.httpGet $probe.tcpSocket $probe.grpc) }}
WARNING: controller.{{ $name }} asks a port that both Pods of a node answer on while one takes the
other's place: leave out its port, path and host, and it asks the process in the container.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "pierhead.told" -}}
{{- with include "pierhead.host" . | trim }}
{{ . }}
{{ end }}
{{- $found := dict "useless" dict "unknown" list -}}
{{- include "pierhead.compare" (dict "values" .Values "known" (.Files.Get "known.yaml" | fromYaml) "path" "" "found" $found) -}}
{{- if $found.useless }}
These values are ingress-nginx's and have no effect:
{{- range $reason, $names := $found.useless }}
{{- range $names }}
  - {{ . }}: {{ $reason }}
{{- end }}
{{- end }}
{{ end }}
{{- with include "pierhead.contradictions" . | trim }}
These values have no effect as they are set:
{{- range splitList "\n" . }}
  - {{ . }}
{{- end }}
{{ end }}
{{- if $found.unknown }}
WARNING: these values are unknown to this chart and to ingress-nginx's 4.15, and have no effect:
{{- range $found.unknown }}
  - {{ . }}
{{- end }}
{{ end }}
{{- end -}}
