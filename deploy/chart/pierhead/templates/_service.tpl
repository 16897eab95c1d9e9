{{- /* The fields of a Service that are taken from the values as they are. Takes of. */ -}}
{{- define "pierhead.service.fields" -}}
{{- include "pierhead.fields" (dict "of" .of "names" (list "clusterIP" "clusterIPs" "externalIPs" "loadBalancerIP" "loadBalancerSourceRanges" "loadBalancerClass" "externalTrafficPolicy" "sessionAffinity" "trafficDistribution" "ipFamilyPolicy" "ipFamilies" "healthCheckNodePort")) }}
{{- if kindIs "bool" .of.allocateLoadBalancerNodePorts }}
allocateLoadBalancerNodePorts: {{ .of.allocateLoadBalancerNodePorts }}
{{- end }}
{{- end -}}

{{- /* Names of the ports that are passed on: portNamePrefix-port-protocol. Takes root, port, protocol. */ -}}
{{- define "pierhead.portName" -}}
{{- with .root.Values.portNamePrefix }}{{ . }}-{{ end }}{{ .port }}-{{ .protocol }}
{{- end -}}

{{- /* The spec of a Service for the controller's Pods. Takes root and of: service or service.internal. */ -}}
{{- define "pierhead.service.spec" -}}
{{- $root := .root -}}
{{- $of := .of -}}
{{- $first := .root.Values.controller.service -}}
{{- $type := default $first.type $of.type -}}
{{- $nodePorts := ternary (default dict $of.nodePorts) dict (has $type (list "NodePort" "LoadBalancer")) -}}
type: {{ $type }}
{{- with include "pierhead.service.fields" (dict "of" $of) }}
{{ . | trim }}
{{- end }}
ports:
  {{- range $name, $enabled := dict "http" $first.enableHttp "https" $first.enableHttps }}
  {{- if $enabled }}
  - name: {{ $name }}
    port: {{ default (get $first.ports $name) (get (default dict $of.ports) $name) }}
    protocol: TCP
    {{- $target := default (get $first.targetPorts $name) (get (default dict $of.targetPorts) $name) }}
    targetPort: {{ include "pierhead.targetPort" (dict "root" $root "name" $target "number" (include "pierhead.numberOf" (dict "root" $root "port" $target))) }}
    {{- if $of.appProtocol }}
    appProtocol: {{ $name }}
    {{- end }}
    {{- with get $nodePorts $name }}
    nodePort: {{ . }}
    {{- end }}
  {{- end }}
  {{- end }}
  {{- if and $root.Values.controller.http3.enabled $first.enableHttps }}
  - name: http3
    port: {{ default $first.ports.https (get (default dict $of.ports) "https") }}
    protocol: UDP
    targetPort: {{ include "pierhead.targetPort" (dict "root" $root "name" "http3" "number" (include "pierhead.numberOf" (dict "root" $root "port" "https"))) }}
    {{- with get $nodePorts "https" }}
    nodePort: {{ . }}
    {{- end }}
  {{- end }}
  {{- range $protocol := list "tcp" "udp" }}
  {{- range $port, $to := index $root.Values $protocol }}
  - name: {{ include "pierhead.portName" (dict "root" $root "port" $port "protocol" $protocol) }}
    port: {{ $port }}
    protocol: {{ upper $protocol }}
    targetPort: {{ include "pierhead.targetPort" (dict "root" $root "name" (include "pierhead.portName" (dict "root" $root "port" $port "protocol" $protocol)) "number" $port) }}
    {{- with get (default dict (get $nodePorts $protocol)) (toString $port) }}
    nodePort: {{ . }}
    {{- end }}
  {{- end }}
  {{- end }}
selector:
  {{- include "pierhead.selector" (dict "root" $root "component" "controller") | nindent 2 }}
{{- end -}}
