{{/* The name of everything. */}}
{{- define "crest.name" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "crest.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "crest.labels" -}}
{{ include "crest.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "crest.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{/* The name has the configuration in it: pods keep the one that they were made with until they are replaced. */}}
{{- define "crest.configSecret" -}}
{{- default (printf "%s-config-%s" (include "crest.name" .) (sha256sum .Values.config | trunc 8)) .Values.existingConfigSecret -}}
{{- end -}}

{{- define "crest.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "crest.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What cannot be. */}}
{{- define "crest.check" -}}
{{- if and (eq .Values.job.state "volume") (gt (int .Values.job.processes) 1) -}}
{{- fail "job.processes > 1 needs job.state in a bucket (s3://, gs://, az://): a process may come back on another node" -}}
{{- end -}}
{{- if and (eq .Values.job.state "volume") (gt (int .Values.job.standbys) 0) -}}
{{- fail "job.standbys needs job.state in a bucket (s3://, gs://, az://): a standby must reach it when the job's node is gone" -}}
{{- end -}}
{{- if and (gt (int .Values.job.processes) 1) (not .Values.existingSecret) -}}
{{- fail "job.processes > 1 needs existingSecret, a Secret with CREST_CLUSTER_SECRET: what all processes know and nobody else" -}}
{{- end -}}
{{- if gt (int .Values.job.processes) 1 -}}
{{- range .Values.job.arguments -}}
{{- if has . (list "-n" "-p" "--processes" "--process" "--hostfile" "--http" "--state" "--standby") -}}
{{- fail (printf "job.arguments: %s is set by the chart" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "crest.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "crest.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* The environment that the job and the API nodes share. */}}
{{- define "crest.env" -}}
- { name: CREST_CONFIG, value: /etc/crest/crest.toml }
- { name: CREST_HTTP, value: "0.0.0.0:8080" }
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}
