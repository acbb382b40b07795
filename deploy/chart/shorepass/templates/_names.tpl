{{/* The name of every object: the release's, with "shorepass" in it. */}}
{{- define "shorepass.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "shorepass" $name) -}}{{- $name = printf "%s-shorepass" $name -}}{{- end -}}
{{- $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* The labels that select the pods of the server. They never change. */}}
{{- define "shorepass.selector" -}}
app.kubernetes.io/name: shorepass
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "shorepass.labels" -}}
{{ include "shorepass.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | quote }}
{{- end -}}

{{- define "shorepass.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (replace "+" "_" .Chart.AppVersion) }}
{{- end -}}
{{- end -}}

{{- define "shorepass.scheme" -}}
{{ ternary "https" "http" .Values.https }}
{{- end -}}

{{/* The name of the volume claim, which a SQLite store is on. */}}
{{- define "shorepass.claim" -}}
{{ .Values.persistence.existingClaim | default (include "shorepass.name" .) }}
{{- end -}}
