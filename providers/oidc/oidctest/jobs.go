package oidctest

import "strings"

// Claims of CI jobs and pods, as their issuers send them. They are for
// [Issuer.IDToken], which adds iss, aud and the times.

// GitHubJob returns the claims of a GitHub Actions job of a repository
// ("org/app") on a branch.
func GitHubJob(repository, branch string) map[string]any {
	owner, _, _ := strings.Cut(repository, "/")
	return map[string]any{
		"sub":                   "repo:" + repository + ":ref:refs/heads/" + branch,
		"repository":            repository,
		"repository_id":         "74",
		"repository_owner":      owner,
		"repository_owner_id":   "65",
		"repository_visibility": "private",
		"ref":                   "refs/heads/" + branch,
		"ref_type":              "branch",
		"ref_protected":         "true",
		"event_name":            "push",
		"actor":                 "octocat",
		"actor_id":              "12",
		"workflow":              "release",
		"workflow_ref":          repository + "/.github/workflows/release.yml@refs/heads/" + branch,
		"job_workflow_ref":      repository + "/.github/workflows/release.yml@refs/heads/" + branch,
		"runner_environment":    "github-hosted",
		"run_id":                "577", "run_number": "10", "run_attempt": "2",
		"jti": "example-id",
	}
}

// GitLabJob returns the claims of a GitLab CI job of a project ("group/app") on a
// branch.
func GitLabJob(project, branch string) map[string]any {
	namespace, _, _ := strings.Cut(project, "/")
	return map[string]any{
		"sub":                   "project_path:" + project + ":ref_type:branch:ref:" + branch,
		"namespace_id":          "72",
		"namespace_path":        namespace,
		"project_id":            "20",
		"project_path":          project,
		"user_id":               "1",
		"user_login":            "sample-user",
		"user_email":            "sample-user@example.com",
		"pipeline_id":           "574",
		"pipeline_source":       "push",
		"job_id":                "302",
		"ref":                   branch,
		"ref_type":              "branch",
		"ref_path":              "refs/heads/" + branch,
		"ref_protected":         "false",
		"groups_direct":         []string{namespace, namespace + "/builders"},
		"runner_environment":    "self-hosted",
		"project_visibility":    "private",
		"ci_config_ref_uri":     "gitlab.example.com/" + project + "//.gitlab-ci.yml@refs/heads/" + branch,
		"environment_protected": "false",
		"jti":                   "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
	}
}

// KubernetesPod returns the claims of a pod's projected service account token.
func KubernetesPod(namespace, account string) map[string]any {
	return map[string]any{
		"sub": "system:serviceaccount:" + namespace + ":" + account,
		"aud": []string{"registry"},
		"kubernetes.io": map[string]any{
			"namespace":      namespace,
			"pod":            map[string]any{"name": "builder-7d4b9", "uid": "5e6b3b39-ee52-4d3f-b9d9-aa4e0d4a3c2b"},
			"serviceaccount": map[string]any{"name": account, "uid": "8b7c5f0e-6a5e-4b67-9d6d-5c9b9d1a2f3e"},
		},
		"jti": "a6e0a1bb-1a4c-4ac5-a3cb-0b5f8e3e8b0f",
	}
}
