{{/* What the server's pods and the test's have in common. */}}
{{- define "shorepass.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.user }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
fsGroup: {{ int64 . }}
{{- end }}
# Not Always: that makes the store's folder group-readable at each start, and
# shorepass refuses such a folder.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "shorepass.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* One projected volume holds the configuration and the files beside it, so that
kubelet replaces all of them in one step. */}}
{{- define "shorepass.volumes" -}}
- name: config
  projected:
    defaultMode: 0440
    sources:
      {{- if .Values.config }}
      - configMap:
          name: {{ include "shorepass.name" . }}
          items:
            - key: shorepass.toml
              path: shorepass.toml
      {{- end }}
      {{- range $name, $file := .Values.files }}
      - {{ ternary "secret" "configMap" (not (empty $file.secret)) }}:
          name: {{ $file.secret | default $file.configMap | quote }}
          items:
            - key: {{ $file.key | default $name | quote }}
              path: {{ $name | quote }}
      {{- end }}
{{- if eq .Values.store "sqlite" }}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "shorepass.claim" . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "shorepass.mounts" -}}
- name: config
  mountPath: /etc/shorepass
  readOnly: true
{{- if eq .Values.store "sqlite" }}
- name: data
  mountPath: /var/lib/shorepass
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The template of the server's pods. It has no checksum of the configuration: the
server rereads a changed one by itself. */}}
{{- define "shorepass.podTemplate" -}}
metadata:
  labels:
    {{- include "shorepass.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: shorepass
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "shorepass.name" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # The server drains for 10 s and finishes within 20 s.
  terminationGracePeriodSeconds: 30
  securityContext:
    {{- include "shorepass.podSecurityContext" . | nindent 4 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if gt (int .Values.replicas) 1 }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "shorepass.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  containers:
    - name: shorepass
      image: {{ include "shorepass.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/shorepass/shorepass.toml]
      {{- with .Values.env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: {{ include "shorepass.scheme" . }}
          containerPort: 5001
          protocol: TCP
      # A start waits ten minutes for its database, and answers 503 meanwhile.
      startupProbe:
        {{- include "shorepass.probe" (list . "/readyz") | nindent 8 }}
        periodSeconds: 2
        failureThreshold: 330
      readinessProbe:
        {{- include "shorepass.probe" (list . "/readyz") | nindent 8 }}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      livenessProbe:
        {{- include "shorepass.probe" (list . "/healthz") | nindent 8 }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "shorepass.containerSecurityContext" . | nindent 8 }}
      volumeMounts:
        {{- include "shorepass.mounts" . | nindent 8 }}
  volumes:
    {{- include "shorepass.volumes" . | nindent 4 }}
{{- end -}}

{{- define "shorepass.probe" -}}
{{- $scheme := include "shorepass.scheme" (index . 0) -}}
httpGet:
  path: {{ index . 1 }}
  port: {{ $scheme }}
  scheme: {{ upper $scheme }}
{{- end -}}
