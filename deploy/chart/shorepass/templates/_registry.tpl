{{/* The block of the registry's configuration, as "shorepass registry-config" prints it:
for the first of public_urls, paths and services. Empty if config is not in values, or
has settings of single services. */}}
{{- define "shorepass.registryBlock" -}}
{{- $text := include "shorepass.plain" . -}}
{{- $server := include "shorepass.table" (list $text "server") -}}
{{- $token := include "shorepass.table" (list $text "token") -}}
{{- $url := include "shorepass.first" (list $server "public_urls") -}}
{{- $issuer := include "shorepass.first" (list $token "issuer") -}}
{{- $service := include "shorepass.first" (list $token "services") -}}
{{- if and $url $issuer $service (not (regexMatch "\\[\\[service\\]\\]" $text)) -}}
auth:
  token:
    realm: {{ printf "%s%s" (trimSuffix "/" $url) (include "shorepass.first" (list $server "paths") | default "/jwt/auth") | quote }}
    service: {{ $service | quote }}
    issuer: {{ $issuer | quote }}
    rootcertbundle: "/etc/distribution/RootCA.crt"
{{- end -}}
{{- end -}}

{{/* The file of the root certificate, in files. */}}
{{- define "shorepass.rootFile" -}}
{{- include "shorepass.first" (list (include "shorepass.table" (list (include "shorepass.plain" .) "token")) "root_certificate") -}}
{{- end -}}

{{/* The text of a TOML table: list TEXT NAME. */}}
{{- define "shorepass.table" -}}
{{- regexFind (printf "(?ms)^[ \\t]*\\[%s\\].*?(^[ \\t]*\\[|\\z)" (index . 1)) (index . 0) -}}
{{- end -}}

{{/* The first string in the value of a key of a TOML table: list TABLE KEY. */}}
{{- define "shorepass.first" -}}
{{- regexFind (printf "(?m)^[ \\t]*%s[ \\t]*=[ \\t]*\\[?\\s*[\"'][^\"']*[\"']" (index . 1)) (index . 0) | regexFind "[\"'][^\"']*[\"']$" | trimAll "\"'" -}}
{{- end -}}
