package chart

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// decoder decodes a document into the type of its API, and refuses a field that the type
// does not have.
var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		apps.AddToScheme, core.AddToScheme, networking.AddToScheme, policy.AddToScheme, gateway.Install, monitoring.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

// objects are the decoded documents of a rendering, by kind; of the two pods the
// server's is in its workload.
type objects map[string]runtime.Object

func decode(t *testing.T, rendered string) objects {
	t.Helper()
	all := objects{}
	reader := documents.NewYAMLReader(bufio.NewReader(strings.NewReader(rendered)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		object, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		if all[kind.Kind] != nil {
			t.Fatalf("two documents of kind %s", kind.Kind)
		}
		all[kind.Kind] = object
	}
}

// kinds returns the kinds of the objects, sorted.
func (o objects) kinds() []string {
	var all []string
	for kind := range o {
		all = append(all, kind)
	}
	slices.Sort(all)
	return all
}

// pods returns the pods: the server's and that of helm test.
func (o objects) pods(t *testing.T) map[string]core.PodSpec {
	t.Helper()
	pods := map[string]core.PodSpec{"test": o["Pod"].(*core.Pod).Spec}
	switch {
	case o["Deployment"] != nil:
		pods["server"] = o["Deployment"].(*apps.Deployment).Spec.Template.Spec
	case o["StatefulSet"] != nil:
		pods["server"] = o["StatefulSet"].(*apps.StatefulSet).Spec.Template.Spec
	default:
		t.Fatalf("no workload among %v", o.kinds())
	}
	return pods
}

// serverPod returns the server's pod and its container.
func (o objects) serverPod(t *testing.T) (core.PodSpec, core.Container) {
	t.Helper()
	pod := o.pods(t)["server"]
	return pod, pod.Containers[0]
}

// TestRender renders the chart over a matrix of values: which objects there are, and
// what every rendering has in common.
func TestRender(t *testing.T) {
	t.Parallel()
	always := []string{"ConfigMap", "Pod", "Service", "ServiceAccount"}
	sqlite := append([]string{"Ingress", "PersistentVolumeClaim", "StatefulSet"}, always...)
	postgres := append([]string{"Deployment", "HTTPRoute", "NetworkPolicy", "PodDisruptionBudget", "PrometheusRule", "ServiceMonitor"}, always...)
	for _, tt := range []struct {
		name, example, values string
		more, less            []string // kinds that the values add and take away
		check                 func(t *testing.T, o objects)
	}{
		{"SQLite", sqliteExample, ``, nil, nil, checkSQLite},
		{"PostgreSQL", postgresExample, ``, nil, nil, checkPostgreSQL},
		{"one replica on PostgreSQL", postgresExample, `replicas: 1`, nil, []string{"PodDisruptionBudget"}, func(t *testing.T, o objects) {
			if pod, _ := o.serverPod(t); pod.TopologySpreadConstraints != nil {
				t.Error("one pod is spread")
			}
		}},
		{"scaled to nothing", sqliteExample, `replicas: 0`, nil, nil, nil},
		{"an existing claim", sqliteExample, `persistence: {existingClaim: mine}`, nil, []string{"PersistentVolumeClaim"}, func(t *testing.T, o objects) {
			for name, pod := range o.pods(t) {
				if got := volume(t, pod, "data").PersistentVolumeClaim.ClaimName; got != "mine" {
					t.Errorf("the %s pod has the claim %s", name, got)
				}
			}
		}},
		{"a storage class", sqliteExample, `persistence: {storageClass: fast, size: 5Gi}`, nil, nil, func(t *testing.T, o objects) {
			claim := o["PersistentVolumeClaim"].(*core.PersistentVolumeClaim)
			if got := *claim.Spec.StorageClassName + " " + claim.Spec.Resources.Requests.Storage().String(); got != "fast 5Gi" {
				t.Errorf("the claim is %s", got)
			}
		}},
		{"HTTPS", sqliteExample, `https: true`, nil, nil, checkHTTPS},
		{"HTTPS and metrics", postgresExample, `{https: true, serviceMonitor: {ca: {configMap: corp-ca, key: ca.crt}}}`, nil, nil, func(t *testing.T, o objects) {
			checkHTTPS(t, o)
			endpoint := o["ServiceMonitor"].(*monitoring.ServiceMonitor).Spec.Endpoints[0]
			if endpoint.TLSConfig == nil || *endpoint.TLSConfig.ServerName != "registry-auth.corp.example" {
				t.Fatalf("Prometheus verifies %v", endpoint.TLSConfig)
			}
			if ca := endpoint.TLSConfig.CA.ConfigMap; ca == nil || ca.Name+" "+ca.Key != "corp-ca ca.crt" {
				t.Errorf("Prometheus trusts %+v", endpoint.TLSConfig.CA)
			}
		}},
		{"a load balancer", sqliteExample, `{service: {type: LoadBalancer, port: 443}, ingress: {enabled: false}}`, nil, []string{"Ingress"}, func(t *testing.T, o objects) {
			service := o["Service"].(*core.Service).Spec
			if service.Type != core.ServiceTypeLoadBalancer || service.Ports[0].Port != 443 || service.ExternalTrafficPolicy != core.ServiceExternalTrafficPolicyLocal {
				t.Errorf("the Service is %+v, want one that keeps the client's address", service)
			}
		}},
		{"an ingress of the default class without TLS", sqliteExample, `ingress: {className: null, tlsSecret: "", annotations: {a.example/b: "true"}}`, nil, nil, func(t *testing.T, o objects) {
			ingress := o["Ingress"].(*networking.Ingress)
			if ingress.Spec.IngressClassName != nil || ingress.Spec.TLS != nil || ingress.Annotations["a.example/b"] != "true" {
				t.Errorf("the Ingress is %+v", ingress)
			}
		}},
		{"everyone may connect", postgresExample, `networkPolicy: {from: [], egress: []}`, nil, nil, func(t *testing.T, o objects) {
			rules := o["NetworkPolicy"].(*networking.NetworkPolicy).Spec
			if len(rules.Ingress) != 1 || rules.Ingress[0].From != nil || len(rules.Egress) != 1 {
				t.Errorf("the NetworkPolicy is %+v, want port 5001 from everyone and DNS", rules)
			}
		}},
		{"the platform's user", sqliteExample, `user: null`, nil, nil, func(t *testing.T, o objects) {
			pod, _ := o.serverPod(t)
			if s := pod.SecurityContext; s.RunAsUser != nil || s.RunAsGroup != nil || s.FSGroup != nil || !*s.RunAsNonRoot {
				t.Errorf("the pod runs as %+v", s)
			}
		}},
		{"an existing configuration", sqliteExample, `{config: "", files: {shorepass.toml: {secret: my-config}}}`, nil, []string{"ConfigMap"}, func(t *testing.T, o objects) {
			pod, _ := o.serverPod(t)
			if got := sourceOf(t, pod, "shorepass.toml"); got != "secret my-config shorepass.toml" {
				t.Errorf("shorepass.toml is from %s", got)
			}
		}},
		{"scheduling", sqliteExample, `{nodeSelector: {disk: ssd}, tolerations: [{key: infra, operator: Exists}], affinity: {nodeAffinity: {}}, priorityClassName: high, podLabels: {a: b}, podAnnotations: {c: d}}`, nil, nil, nil},
		{"a further volume", sqliteExample, `{extraVolumes: [{name: vault, csi: {driver: secrets-store.csi.k8s.io, readOnly: true}}], extraVolumeMounts: [{name: vault, mountPath: /vault, readOnly: true}]}`, nil, nil, func(t *testing.T, o objects) {
			for name, pod := range o.pods(t) {
				if volume(t, pod, "vault").CSI == nil || !slices.ContainsFunc(pod.Containers[0].VolumeMounts, func(m core.VolumeMount) bool { return m.MountPath == "/vault" }) {
					t.Errorf("the %s pod has no such volume", name)
				}
			}
		}},
		{"no limits", sqliteExample, `resources: {limits: null, requests: null}`, nil, nil, nil},
		{"ACME with an account", sqliteExample, "{ file = \"ldap.password\" } => { file = \"ldap.password\" }\n\n  [server.acme]\n  external_account = { id = \"1\", key = { file = \"ldap.password\" } }\n  tls = { key = \"/vault/client.key\" }", nil, nil, nil},
		{"a URL with a path", sqliteExample, "[\"https://registry-auth.corp.example\"] => [\"https://Registry-Auth.corp.example:443/auth\"]", nil, nil, nil},
		{"values of a parent chart", sqliteExample, `global: {anything: 1}`, nil, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := decode(t, mustRender(t, change(t, tt.example, tt.values)...))
			want := slices.Concat(map[string][]string{sqliteExample: sqlite, postgresExample: postgres}[tt.example], tt.more)
			want = slices.DeleteFunc(want, func(kind string) bool { return slices.Contains(tt.less, kind) })
			slices.Sort(want)
			if got := o.kinds(); !slices.Equal(got, want) {
				t.Errorf("the objects are %v, want %v", got, want)
			}
			checkAlways(t, o)
			if tt.check != nil {
				tt.check(t, o)
			}
		})
	}
}

// checkAlways checks what holds with any values.
func checkAlways(t *testing.T, o objects) {
	t.Helper()
	for kind, object := range o {
		meta := object.(metav1.Object)
		if meta.GetLabels()["app.kubernetes.io/instance"] != "registry-auth" {
			t.Errorf("%s has the labels %v", kind, meta.GetLabels())
		}
	}
	if *o["ServiceAccount"].(*core.ServiceAccount).AutomountServiceAccountToken {
		t.Error("the account's token is mounted")
	}
	for name, pod := range o.pods(t) {
		checkRestricted(t, name, pod)
		checkFiles(t, name, pod)
	}
	pod, container := o.serverPod(t)
	if *pod.TerminationGracePeriodSeconds < 30 {
		t.Errorf("the pod is killed after %d s; the server drains and finishes within 20", *pod.TerminationGracePeriodSeconds)
	}
	checkProbes(t, container, o["Service"].(*core.Service).Spec)
	for _, object := range []string{"Deployment", "StatefulSet"} {
		if o[object] == nil {
			continue
		}
		if annotations := fmt.Sprint(o[object]); strings.Contains(annotations, "checksum/") {
			t.Error("a change of the configuration restarts the pods, which reload it by themselves")
		}
	}
}

// checkProbes checks that kubelet asks the right port, and lets a start wait for its
// database: ten minutes, after which the server exits by itself.
func checkProbes(t *testing.T, c core.Container, service core.ServiceSpec) {
	t.Helper()
	for name, probe := range map[string]struct {
		*core.Probe
		path string
	}{"startup": {c.StartupProbe, "/readyz"}, "readiness": {c.ReadinessProbe, "/readyz"}, "liveness": {c.LivenessProbe, "/healthz"}} {
		if probe.HTTPGet.Path != probe.path || probe.HTTPGet.Port.StrVal != c.Ports[0].Name || string(probe.HTTPGet.Scheme) != strings.ToUpper(c.Ports[0].Name) {
			t.Errorf("the %s probe is %+v, of the port %+v", name, probe.HTTPGet, c.Ports[0])
		}
	}
	if wait := c.StartupProbe.PeriodSeconds * c.StartupProbe.FailureThreshold; wait <= 600 {
		t.Errorf("kubelet kills a start after %d s", wait)
	}
	if c.Ports[0].ContainerPort != 5001 || service.Ports[0].TargetPort.StrVal != c.Ports[0].Name {
		t.Errorf("the Service leads to %v, the container listens on %v", service.Ports, c.Ports)
	}
}

func checkHTTPS(t *testing.T, o objects) {
	_, container := o.serverPod(t)
	if container.ReadinessProbe.HTTPGet.Scheme != core.URISchemeHTTPS || *o["Service"].(*core.Service).Spec.Ports[0].AppProtocol != "https" {
		t.Errorf("the probe is %+v", container.ReadinessProbe.HTTPGet)
	}
}

// checkSQLite: a SQLite file has one process and a volume, which outlives the release.
func checkSQLite(t *testing.T, o objects) {
	claim := o["PersistentVolumeClaim"].(*core.PersistentVolumeClaim)
	if claim.Annotations["helm.sh/resource-policy"] != "keep" {
		t.Error("helm uninstall deletes the store")
	}
	set := o["StatefulSet"].(*apps.StatefulSet).Spec
	if *set.Replicas != 1 || set.PodManagementPolicy != apps.ParallelPodManagement {
		t.Errorf("%d replicas, podManagementPolicy %s: a rollback of a pod that is not ready must take effect", *set.Replicas, set.PodManagementPolicy)
	}
	for name, pod := range o.pods(t) {
		if got := volume(t, pod, "data").PersistentVolumeClaim.ClaimName; got != claim.Name {
			t.Errorf("the %s pod has the claim %s, not %s", name, got, claim.Name)
		}
		// Always would give the group write access to the folder of the store.
		if *pod.SecurityContext.FSGroupChangePolicy != core.FSGroupChangeOnRootMismatch {
			t.Errorf("fsGroupChangePolicy is %s", *pod.SecurityContext.FSGroupChangePolicy)
		}
	}
	if o["Pod"].(*core.Pod).Spec.Affinity.PodAffinity == nil {
		t.Error("the pod of helm test can land on a node without the volume")
	}
}

// checkMonitoring: Prometheus takes the rules of deploy/monitoring, whose alerts find the
// job by its name, and a chart's package has the rules themselves.
func checkMonitoring(t *testing.T, o objects) {
	rules := o["PrometheusRule"].(*monitoring.PrometheusRule)
	text, err := os.ReadFile("../monitoring/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want monitoring.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict(text, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(rules.Spec, want) || len(want.Groups) == 0 {
		t.Errorf("the rules are %v, want those of deploy/monitoring", rules.Spec)
	}
	for kind, name := range map[string]string{"ServiceMonitor": o["ServiceMonitor"].(metav1.Object).GetLabels()["release"], "PrometheusRule": rules.Labels["release"]} {
		if name != "prometheus" {
			t.Errorf("Prometheus does not select the %s", kind)
		}
	}
	if job := o["Service"].(metav1.Object).GetName(); !strings.Contains(job, "shorepass") {
		t.Errorf("the job is %s, and the alerts look for one with shorepass in its name", job)
	}
}

// checkPostgreSQL: replicas are replaced one at a time and stand on different nodes.
func checkPostgreSQL(t *testing.T, o objects) {
	checkMonitoring(t, o)
	deployment := o["Deployment"].(*apps.Deployment).Spec
	if *deployment.Replicas != 3 || deployment.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
		t.Errorf("the Deployment is %+v", deployment)
	}
	if len(deployment.Template.Spec.TopologySpreadConstraints) != 2 {
		t.Error("replicas are not spread over zones and nodes")
	}
	budget := o["PodDisruptionBudget"].(*policy.PodDisruptionBudget).Spec
	if budget.MaxUnavailable.IntValue() != 1 || fmt.Sprint(budget.Selector) != fmt.Sprint(deployment.Selector) {
		t.Errorf("the PodDisruptionBudget is %+v", budget)
	}
	_, container := o.serverPod(t)
	if container.Image != "registry.corp.example/tools/shorepass@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" {
		t.Errorf("the image is %s", container.Image)
	}
	for _, mount := range container.VolumeMounts {
		if !mount.ReadOnly {
			t.Errorf("%s is writable", mount.MountPath)
		}
	}
	route := o["HTTPRoute"].(*gateway.HTTPRoute).Spec
	if len(route.Hostnames) != 1 || *route.Rules[0].BackendRefs[0].Port != o["Service"].(*core.Service).Spec.Ports[0].Port {
		t.Errorf("the HTTPRoute is %+v", route)
	}
	if args := o["Pod"].(*core.Pod).Spec.Containers[0].Args; !slices.Contains(args, "--registry=https://registry.corp.example") {
		t.Errorf("helm test runs shorepass %v", args)
	}
}
