{{/*
Refuses values that contradict each other, and a secret in values. The schema has
checked their types. The configuration is TOML text, which these checks read by
regular expressions: they find common mistakes before anything is installed, and
the server itself reports all the others, each with line, key and cure.
*/}}
{{- define "shorepass.check" -}}
{{- include "shorepass.checkSource" . -}}
{{- include "shorepass.checkPolicy" . -}}
{{- include "shorepass.checkSecrets" . -}}
{{- include "shorepass.checkHosts" . -}}
{{- if .Values.config -}}
{{- include "shorepass.checkConfig" . -}}
{{- end -}}
{{- end -}}

{{/* The configuration without comment lines, as text. */}}
{{- define "shorepass.plain" -}}
{{- regexReplaceAll "(?m)^[ \\t]*#.*$" (printf "%s\n%s" .Values.config .Values.policy) "" -}}
{{- end -}}

{{- define "shorepass.checkSource" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is missing: name the repository that you pushed the image to, such as registry.corp.example/tools/shorepass" -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (eq .Values.store "sqlite") -}}
{{- fail (printf "replicas is %d, but a SQLite file has one process; set store: postgres and put session.store on PostgreSQL, or replicas: 1" (int .Values.replicas)) -}}
{{- end -}}
{{- $existing := hasKey .Values.files "shorepass.toml" -}}
{{- if and .Values.config $existing -}}
{{- fail "config and files.\"shorepass.toml\" are both set; leave one of the two out" -}}
{{- end -}}
{{- if not (or .Values.config $existing) -}}
{{- fail "config is missing: --set-file config=shorepass.toml takes the file that \"shorepass check\" checked; or name an existing Secret or ConfigMap with it in files.\"shorepass.toml\"" -}}
{{- end -}}
{{- if and .Values.policy $existing -}}
{{- fail "policy is appended to config, and there is none: write the rules into the existing shorepass.toml" -}}
{{- end -}}
{{- range $name, $file := .Values.files -}}
{{- if eq (empty $file.secret) (empty $file.configMap) -}}
{{- fail (printf "files.%q: name either a secret or a configMap" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* policy holds rules and nothing else, so that its owners cannot change a provider.
A table's header stands at the beginning of a line. */}}
{{- define "shorepass.checkPolicy" -}}
{{- $text := trim (regexReplaceAll "(?m)^[ \\t]*#.*$" .Values.policy "") -}}
{{- if and $text (not (regexMatch "^\\[\\[rule\\]\\][ \\t]*(#.*)?\\r?(\\n|$)" $text)) -}}
{{- fail "policy must begin with [[rule]]: it is appended to config, and keys before the first table would change the last table there" -}}
{{- end -}}
{{- $others := regexReplaceAll "(?m)^[ \\t]*\\[\\[rule\\]\\]" $text "" -}}
{{- range regexFindAll "(?m)^[ \\t]*\\[.*" $others 1 -}}
{{- fail (printf "policy holds [[rule]] tables and nothing else; move %s to config" (trim .)) -}}
{{- end -}}
{{- end -}}

{{- define "shorepass.checkSecrets" -}}
{{- $text := include "shorepass.plain" . -}}
{{- $cure := "Helm stores values in the cluster, and people keep them in git: put it into a Secret, list that in files, and write { file = \"…\" }" -}}
{{- range regexFindAll "\\b(bind_password|client_secret|seal_key|password)[\"']?[ \\t]*=[ \\t]*[\"']" $text 1 -}}
{{- fail (printf "config: %s is a secret in place (a password's hash too: it can be guessed offline). %s" (regexFind "^[a-z_]+" .) $cure) -}}
{{- end -}}
{{- $account := regexFind "(?s)\\bexternal_account\\b.{0,200}?\\bkey[\"']?[ \\t]*=[ \\t]*." $text -}}
{{- if regexMatch "[\"']$" $account -}}
{{- fail (printf "config: acme.external_account.key is a secret in place. %s" $cure) -}}
{{- end -}}
{{- if regexMatch "postgres(ql)?://([^\\s\"/@]*:[^\\s\"@]*@|[^\\s\"]*[?&]password=)" $text -}}
{{- fail (printf "config: session.store holds a password. %s" $cure) -}}
{{- end -}}
{{- if regexMatch "[a-z]://[^\\s\"/@:]*:[^\\s\"/@]+@" (toJson .Values) -}}
{{- fail "a value holds a URL with a password: Helm stores values in the cluster. Put it into a Secret, and name that in env by valueFrom.secretKeyRef, or in files" -}}
{{- end -}}
{{- if regexMatch "PRIVATE KEY-----" (toJson .Values) -}}
{{- fail (printf "a value holds a private key. %s" $cure) -}}
{{- end -}}
{{- if regexMatch "\\bsp_[a-z]_[A-Za-z0-9_-]{16}" (toJson .Values) -}}
{{- fail (printf "a value holds a token of shorepass. %s" $cure) -}}
{{- end -}}
{{- end -}}

{{- define "shorepass.checkHosts" -}}
{{- $routed := or .Values.ingress.enabled .Values.httpRoute.enabled -}}
{{- if and $routed (not .Values.hosts) -}}
{{- fail "hosts is missing: list the hosts of server.public_urls, for the Ingress or the HTTPRoute" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs is missing: name the Gateway" -}}
{{- end -}}
{{- end -}}

{{- define "shorepass.checkConfig" -}}
{{- $text := include "shorepass.plain" . -}}
{{- if not (regexMatch "\\blisten[ \\t]*=[ \\t]*[\"'](0\\.0\\.0\\.0|\\[::\\])?:5001[\"']" $text) -}}
{{- fail "config: write listen = \":5001\" under [server]; its default is 127.0.0.1:5001, which neither probes nor the Service can reach" -}}
{{- end -}}
{{- $values := .Values -}}
{{- range .Values.hosts -}}
{{- if not (regexMatch (printf "(?i)[\"']https?://%s(:[0-9]+)?(/[^\"']*)?[\"']" (regexQuoteMeta .)) $text) -}}
{{- fail (printf "hosts: %s is in no URL of server.public_urls; write it there too, or registries and clients are sent elsewhere" .) -}}
{{- end -}}
{{- end -}}
{{- if and (or .Values.ingress.enabled .Values.httpRoute.enabled) (not (regexMatch "\\btrusted_proxies[ \\t]*=" $text)) -}}
{{- fail "config: server.trusted_proxies is missing: behind the Ingress or the Gateway all clients have its address, and one of them can use up the rate limit of all. List the proxy's addresses; if the clients' own addresses reach the pods, write trusted_proxies = []" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not (regexMatch "\\bmetrics_from[ \\t]*=" $text)) -}}
{{- fail "config: server.metrics_from is missing: by default only the pod itself may read /metrics. List the network of Prometheus's pods" -}}
{{- end -}}
{{- include "shorepass.checkStore" . -}}
{{- range regexFindAll "\\b(file|ca|root_certificate|root_key|signing_certificate|signing_key|htpasswd|htpasswd_groups)[ \\t]*=[ \\t]*[\"'][^\"'/$][^\"']*[\"']" $text -1 -}}
{{- $name := regexReplaceAll "^.*=[ \\t]*[\"']([^\"']*)[\"']$" . "${1}" -}}
{{- if not (hasKey $values.files $name) -}}
{{- fail (printf "config names the file %s (%s), which is not in files; add it there with the Secret or ConfigMap that has it" $name (regexFind "^[a-z_]+" .)) -}}
{{- end -}}
{{- end -}}
{{- $env := list -}}
{{- $inPlace := list -}}
{{- range .Values.env -}}
{{- $env = append $env .name -}}
{{- if hasKey . "value" -}}{{- $inPlace = append $inPlace .name -}}{{- end -}}
{{- end -}}
{{- range regexFindAll "\\benv[ \\t]*=[ \\t]*[\"'][^\"']+[\"']" $text -1 -}}
{{- $name := regexReplaceAll "^.*=[ \\t]*[\"']([^\"']*)[\"']$" . "${1}" -}}
{{- if not (has $name $env) -}}
{{- fail (printf "config reads the environment variable %s, which is not in env; add it there with the Secret that has it" $name) -}}
{{- end -}}
{{- if has $name $inPlace -}}
{{- fail (printf "env: config reads a secret from %s, and Helm stores values in the cluster: put it into a Secret, and write valueFrom.secretKeyRef in the place of value" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* config must agree with store. The root is in files on SQLite too: the image has no
shell, so nobody could copy it out of the volume for the registry. */}}
{{- define "shorepass.checkStore" -}}
{{- $text := include "shorepass.plain" . -}}
{{- $local := or (regexMatch "\\bstore[ \\t]*=[ \\t]*[\"']sqlite:" $text) (not (regexMatch "\\bstore[ \\t]*=" $text)) -}}
{{- if and $local (eq .Values.store "postgres") -}}
{{- fail "store is postgres, but session.store in config is a SQLite file: each replica would have sessions of its own. Write store = { file = \"store.url\" } there" -}}
{{- end -}}
{{- if and (not $local) (eq .Values.store "sqlite") -}}
{{- fail "store is sqlite, but session.store in config is none; set store: postgres" -}}
{{- end -}}
{{- range ternary (list "root_certificate") (list "root_certificate" "seal_key") $local -}}
{{- if not (regexMatch (printf "\\b%s[ \\t]*=" .) $text) -}}
{{- fail (printf "config: %s is missing: make the root and the sealing key with \"shorepass keys init\", put them into a Secret, and list that in files; the registry needs the root, and all replicas need both" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
