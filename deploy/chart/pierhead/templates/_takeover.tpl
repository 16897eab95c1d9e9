{{- /*
A DaemonSet in the nodes' network whose new Pod starts beside the old one. The new one takes over
the listening sockets of the old one (--takeover). Such Pods declare no ports: each would be one
of the host, and the second Pod would find no node where it is free. So whatever names a port
names its number. Their probes ask the process in the container, since both Pods answer on the
port of the health check.
*/ -}}
{{- define "pierhead.takeover" -}}
{{- $c := .Values.controller -}}
{{- $strategy := default dict $c.updateStrategy -}}
{{- $surge := toString (dig "rollingUpdate" "maxSurge" 0 $strategy) -}}
{{- $rolls := eq (default "RollingUpdate" (get $strategy "type")) "RollingUpdate" -}}
{{- $off := eq (toString (get (default dict $c.extraArgs) "takeover")) "false" -}}
{{- if and $c.hostNetwork (eq $c.kind "DaemonSet") $rolls (not (has $surge (list "0" "0%" ""))) (not $off) -}}true{{- end -}}
{{- end -}}

{{- /* How Pods are replaced. With a second Pod beside the first one none is missing meanwhile. */ -}}
{{- define "pierhead.updateStrategy" -}}
{{- $strategy := deepCopy (default dict .Values.controller.updateStrategy) -}}
{{- if and (include "pierhead.takeover" .) (not (hasKey $strategy.rollingUpdate "maxUnavailable")) -}}
{{- $_ := set $strategy.rollingUpdate "maxUnavailable" 0 -}}
{{- end -}}
{{- if $strategy -}}{{- toYaml $strategy -}}{{- end -}}
{{- end -}}

{{- /* What a Service leads to: the name of a port, or its number where ports have no names. Takes root, name, number. */ -}}
{{- define "pierhead.targetPort" -}}
{{- if include "pierhead.takeover" .root -}}{{- .number -}}{{- else -}}{{- .name -}}{{- end -}}
{{- end -}}

{{- /* The number of a port of the container that has a name, or what is no such name. Takes root and port. */ -}}
{{- define "pierhead.numberOf" -}}
{{- $own := default dict .root.Values.controller.containerPort -}}
{{- $name := toString .port -}}
{{- if not (hasKey $own $name) -}}{{- $name -}}
{{- else if has $name (list "http" "https") -}}{{- include "pierhead.port" (dict "root" .root "flag" (printf "%s-port" $name) "value" (get $own $name)) -}}
{{- else -}}{{- get $own $name -}}
{{- end -}}
{{- end -}}

{{- /* Whether a probe asks for the health path without naming a port, a path or a host of its own. Takes the probe. */ -}}
{{- define "pierhead.plainProbe" -}}
{{- $get := get . "httpGet" -}}
{{- if and (kindIs "map" $get) (not (or (hasKey $get "port") (hasKey $get "path") (hasKey $get "host") (get . "exec") (get . "tcpSocket") (get . "grpc"))) -}}true{{- end -}}
{{- end -}}
