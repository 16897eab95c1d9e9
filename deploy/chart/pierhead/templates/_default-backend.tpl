{{- define "pierhead.backend.podSpec" -}}
{{- $b := .Values.defaultBackend -}}
{{- include "pierhead.fields" (dict "of" $b "names" (list "priorityClassName" "runtimeClassName" "nodeSelector" "tolerations")) }}
{{- range $name := list "affinity" "topologySpreadConstraints" }}
{{- with get $b $name }}
{{ $name }}:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
serviceAccountName: {{ include "pierhead.backend.serviceAccount" . }}
automountServiceAccountToken: {{ $b.serviceAccount.automountServiceAccountToken }}
terminationGracePeriodSeconds: 60
{{- with $b.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ include "pierhead.name" . }}-default-backend
    image: {{ include "pierhead.backend.image" . }}
    imagePullPolicy: {{ $b.image.pullPolicy }}
    {{- with $b.extraArgs }}
    args:
      {{- range $flag, $value := . }}
      - {{ ternary (printf "--%s" $flag) (printf "--%s=%s" $flag (toString $value)) (eq "" (toString (default "" $value))) | quote }}
      {{- end }}
    {{- end }}
    securityContext:
      {{- include "pierhead.securityContext" (dict "own" $b.containerSecurityContext "image" $b.image) | nindent 6 }}
    {{- with $b.extraEnvs }}
    env:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- range $name := list "livenessProbe" "readinessProbe" }}
    {{ $name }}:
      {{- toYaml (merge (deepCopy (get $b $name)) (dict "httpGet" (dict "path" "/healthz" "port" $b.port "scheme" "HTTP"))) | nindent 6 }}
    {{- end }}
    ports:
      - name: http
        containerPort: {{ $b.port }}
        protocol: TCP
    {{- with $b.extraVolumeMounts }}
    volumeMounts:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $b.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- with $b.extraVolumes }}
volumes:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- end -}}
