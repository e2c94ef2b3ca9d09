{{- define "crew-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "crew-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "crew-operator.labels" -}}
{{ include "crew-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "crew-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}{{ default (include "crew-operator.fullname" .) .Values.serviceAccount.name }}{{- else -}}{{ default "default" .Values.serviceAccount.name }}{{- end -}}
{{- end -}}

{{- define "crew-operator.image" -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{- else -}}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{- end -}}
{{- end -}}

{{- /* "true" when only the holder of a Lease acts. */ -}}
{{- define "crew-operator.elects" -}}
{{- $asked := toString .Values.leaderElection.enabled -}}
{{- $several := gt (int .Values.replicaCount) 1 -}}
{{- if and $several (eq $asked "false") -}}
{{- fail "leaderElection.enabled is false with replicaCount 2 or more: two operators would act at once; set it to auto" -}}
{{- end -}}
{{- if and (gt (int .Values.leaderElection.shards) 1) (not (or $several (eq $asked "true"))) -}}
{{- fail "leaderElection.shards is more than 1 with one operator: set replicaCount to 2 or more, or leaderElection.enabled to true" -}}
{{- end -}}
{{- if or $several (eq $asked "true") -}}true{{- end -}}
{{- end -}}

{{- /* What the operator may do in a namespace that it watches. */ -}}
{{- define "crew-operator.rules" -}}
- apiGroups: [crewops.dev]
  resources: [crewdeployments]
  verbs: [get, list, watch]
- apiGroups: [crewops.dev]
  resources: [crewdeployments/status]
  verbs: [patch]
- apiGroups: [crewops.dev]
  resources: [crewdeployments/finalizers] # blockOwnerDeletion on the children, where the cluster enforces it
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [services, configmaps, secrets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete, patch] # patch: a label on the primary of a replicated Redis, and an annotation by which a kubelet brings a new password at once
- apiGroups: [""]
  resources: [events]
  verbs: [list, create, patch] # list: what is said of a claim that pods wait for
{{- end -}}
