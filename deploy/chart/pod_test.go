package chart

import (
	"fmt"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// checkRestricted checks a pod against the restricted Pod Security Standard, and further:
// a read-only root file system and no token of the cluster.
func checkRestricted(t *testing.T, name string, pod core.PodSpec) {
	t.Helper()
	fault := func(format string, args ...any) { t.Errorf("the "+name+" pod: "+format, args...) }
	if pod.HostNetwork || pod.HostPID || pod.HostIPC || pod.HostUsers != nil {
		fault("it shares a namespace with the host")
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		fault("it has a token of the cluster")
	}
	if s := pod.SecurityContext; s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		fault("its security context is %+v", s)
	}
	if len(pod.InitContainers) != 0 || len(pod.Containers) != 1 {
		fault("it has further containers")
	}
	s := pod.Containers[0].SecurityContext
	switch {
	case s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation, s.Privileged != nil && *s.Privileged:
		fault("it may gain privileges")
	case s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem:
		fault("its root file system is writable")
	case fmt.Sprint(s.Capabilities.Drop) != "[ALL]" || s.Capabilities.Add != nil:
		fault("its capabilities are %v", s.Capabilities)
	case s.RunAsUser != nil || s.RunAsNonRoot != nil || s.SeccompProfile != nil || s.ProcMount != nil:
		fault("its container overrides the pod's security context")
	}
	for _, v := range pod.Volumes {
		if v.Projected == nil && v.PersistentVolumeClaim == nil && v.EmptyDir == nil && v.CSI == nil {
			fault("the volume %s is of a kind that the standard refuses", v.Name)
		}
	}
}

// checkFiles checks the volume of the configuration: it is one, so that kubelet replaces
// all files in one step; no mount has a subPath, which kubelet never updates; and no file
// is world-readable, since shorepass refuses such a secret.
func checkFiles(t *testing.T, name string, pod core.PodSpec) {
	t.Helper()
	if got := *volume(t, pod, "config").Projected.DefaultMode; got != 0o440 {
		t.Errorf("the %s pod: the files have the mode %o, want 440", name, got)
	}
	for _, mount := range pod.Containers[0].VolumeMounts {
		if mount.SubPath != "" || mount.SubPathExpr != "" {
			t.Errorf("the %s pod: %s is mounted by subPath", name, mount.MountPath)
		}
		if mount.Name == "config" && (mount.MountPath != "/etc/shorepass" || !mount.ReadOnly) {
			t.Errorf("the %s pod: the configuration is mounted as %+v", name, mount)
		}
	}
	if got := sourceOf(t, pod, "shorepass.toml"); got == "" {
		t.Errorf("the %s pod has no shorepass.toml", name)
	}
	if args := strings.Join(pod.Containers[0].Args, " "); !strings.Contains(args, "/etc/shorepass/shorepass.toml") {
		t.Errorf("the %s pod runs shorepass %s", name, args)
	}
}

func volume(t *testing.T, pod core.PodSpec, name string) core.Volume {
	t.Helper()
	for _, v := range pod.Volumes {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("the pod has no volume %s", name)
	return core.Volume{}
}

// sourceOf returns where a file of /etc/shorepass is from: "secret NAME KEY" or
// "configMap NAME KEY".
func sourceOf(t *testing.T, pod core.PodSpec, file string) string {
	t.Helper()
	source := ""
	for _, s := range volume(t, pod, "config").Projected.Sources {
		kind, name, items := "secret", "", []core.KeyToPath(nil)
		if s.Secret != nil {
			name, items = s.Secret.Name, s.Secret.Items
		} else {
			kind, name, items = "configMap", s.ConfigMap.Name, s.ConfigMap.Items
		}
		for _, item := range items {
			if item.Path == file {
				source = fmt.Sprintf("%s %s %s", kind, name, item.Key)
			}
		}
	}
	return source
}
