package deploy_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/billbus/billbus/test/kit/natstest"
)

func TestServicesSetKnownVariables(t *testing.T) {
	t.Parallel()
	for _, p := range programs(t) {
		if p.err != nil {
			t.Errorf("%s: %v", p.name, p.err)
		}
		known := settings(p.help)
		if len(known) < 10 {
			t.Fatalf("%s: found only %q in the help text", p.name, known)
		}
		for name := range p.service.Environment {
			if !slices.Contains(known, name) {
				t.Errorf("%s: %s is not one of its settings", p.name, name)
			}
		}
	}
}

// settings returns the variables in a help text: the words that follow their flag.
func settings(help string) []string {
	return slices.DeleteFunc(regexp.MustCompile(`\b[A-Z][A-Z0-9_]+\b`).FindAllString(help, -1), func(name string) bool {
		return !strings.Contains(help, "--"+strings.ToLower(strings.ReplaceAll(name, "_", "-"))+", ")
	})
}

func TestModeIsRequired(t *testing.T) {
	t.Parallel()
	_, err := compose(t.Context())
	if err == nil || !strings.Contains(err.Error(), "WEBHOOK_LIVEMODE") {
		t.Errorf("got %v, want an error that names WEBHOOK_LIVEMODE", err)
	}
}

func TestHealthCheckOfNATSAsksAnEndpointThatExists(t *testing.T) {
	t.Parallel()
	opts := natsOptions(t)
	asked := healthURL(t, load(t).Services["nats"])
	if asked.Hostname() != "127.0.0.1" || asked.Port() != itoa(opts.HTTPPort) {
		t.Errorf("the health check asks %s, want port %d of 127.0.0.1", asked, opts.HTTPPort)
	}
	w := httptest.NewRecorder()
	startNATS(t, opts).HTTPHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", asked.RequestURI(), nil))
	if w.Code != http.StatusOK {
		t.Errorf("the health check of %s gets %d, want 200", asked.Path, w.Code)
	}
}

// Its output is in docker inspect, and says which check fails.
func TestHealthChecksOfTheProgramsAreTheirCommands(t *testing.T) {
	t.Parallel()
	for _, p := range programs(t) {
		check := p.service.HealthCheck
		if check == nil || !slices.Equal(check.Test, []string{"CMD", p.name, "health"}) {
			t.Errorf("%s: got health check %+v, want its command health", p.name, check)
			continue
		}
		if asked, err := p.health(); err != nil || asked != p.admin {
			t.Errorf("%s: its health check asks %s, %v, want %s", p.name, asked, err, p.admin)
		}
		if check.Timeout == nil || time.Duration(*check.Timeout) < 5*time.Second {
			t.Errorf("%s: got timeout %v, want one in which all checks can fail", p.name, check.Timeout)
		}
	}
}

func TestEveryServiceHasAMemoryLimit(t *testing.T) {
	t.Parallel()
	for name, service := range load(t).Services {
		if service.MemLimit < 256<<20 {
			t.Errorf("%s: got a memory limit of %d bytes", name, service.MemLimit)
		}
	}
}

func TestEveryPermanentServiceHasAHealthCheck(t *testing.T) {
	t.Parallel()
	for name, service := range load(t).Services {
		check := service.HealthCheck
		if len(service.Profiles) == 0 && (check == nil || check.Disable || len(check.Test) < 2) {
			t.Errorf("%s has no health check", name)
		}
	}
}

func healthURL(t *testing.T, service types.ServiceConfig) *url.URL {
	t.Helper()
	if service.HealthCheck == nil {
		t.Fatalf("%s has no health check", service.Name)
	}
	text := regexp.MustCompile(`https?://[^\s"']+`).FindString(strings.Join(service.HealthCheck.Test, " "))
	asked, err := url.Parse(text)
	if err != nil || text == "" {
		t.Fatalf("%s: got health check %q, want one with a URL", service.Name, service.HealthCheck.Test)
	}
	return asked
}

func TestStopGracePeriodIsLongerThanShutdown(t *testing.T) {
	t.Parallel()
	for _, p := range programs(t) {
		grace := p.service.StopGracePeriod
		if grace == nil || time.Duration(*grace) < p.shutdown+5*time.Second {
			t.Errorf("%s: got stop_grace_period %v, want well above SHUTDOWN_TIMEOUT, %s", p.name, grace, p.shutdown)
		}
	}
}

// While NATS is down, the bridge answers 503; Stripe gets no answer if the bridge waits for NATS.
func TestProgramsStartBeforeTheServers(t *testing.T) {
	t.Parallel()
	for _, p := range programs(t) {
		if len(p.service.DependsOn) == 0 {
			t.Errorf("%s depends on nothing, so it would be stopped last", p.name)
		}
		for server, dependency := range p.service.DependsOn {
			if dependency.Condition != types.ServiceConditionStarted {
				t.Errorf("%s waits for %s: %s", p.name, server, dependency.Condition)
			}
		}
	}
}

func TestOnlyTheWebhookPortIsPublic(t *testing.T) {
	t.Parallel()
	webhooks := 0
	for name, service := range load(t).Services {
		if service.NetworkMode != "" {
			t.Errorf("%s: got network_mode %s, want none", name, service.NetworkMode)
		}
		for _, published := range service.Ports {
			if name == "bridge" && itoa(int(published.Target)) == webhookPort(t) {
				webhooks++
			} else if published.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %d is published on %q", name, published.Target, published.HostIP)
			}
		}
	}
	if webhooks != 1 {
		t.Errorf("the port of the webhook is published %d times, want once", webhooks)
	}
}

func webhookPort(t *testing.T) string {
	t.Helper()
	for _, p := range programs(t) {
		if p.webhook != "" {
			return port(t, p.webhook)
		}
	}
	t.Fatal("nothing takes webhooks")
	return ""
}

func TestWebhookPortCanBeLocal(t *testing.T) {
	t.Parallel()
	project, err := compose(t.Context(), "WEBHOOK_LIVEMODE=test", "WEBHOOK_PUBLISH=127.0.0.1:8081")
	if err != nil {
		t.Fatal(err)
	}
	got := project.Services["bridge"].Ports[0]
	if got.HostIP != "127.0.0.1" || got.Published != "8081" {
		t.Errorf("got %s:%s, want 127.0.0.1:8081", got.HostIP, got.Published)
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`SECRET|PASSWORD|TOKEN|CREDS|API_KEY|PRIVATE`)
	for name, service := range load(t).Services {
		for variable, value := range service.Environment {
			if secret.MatchString(variable) && !strings.HasSuffix(variable, "_FILE") {
				t.Errorf("%s: %s is in the environment", name, variable)
			}
			if value == nil {
				t.Errorf("%s: %s is inherited from the environment of docker compose", name, variable)
			} else if u, err := url.Parse(*value); err == nil && u.User != nil {
				t.Errorf("%s: %s has a login in it", name, variable)
			}
		}
	}
}

func TestSecretsAreFilesThatGitIgnores(t *testing.T) {
	t.Parallel()
	project := load(t)
	if len(project.Secrets) == 0 {
		t.Error("there are no secrets")
	}
	for name, secret := range project.Secrets {
		folder, err := filepath.Abs(filepath.Join(root, "secrets"))
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(secret.File) != folder {
			t.Errorf("%s: got %q, want a file in secrets/", name, secret.File)
		}
	}
	if got := read(t, filepath.Join(root, "secrets", ".gitignore")); !strings.Contains(got, "\n*\n") {
		t.Errorf("got secrets/.gitignore %q, want everything ignored", got)
	}
	if got := read(t, filepath.Join(root, ".dockerignore")); !strings.Contains(got, "\nsecrets/*\n") {
		t.Errorf("got .dockerignore %q, want secrets/* kept out of the build", got)
	}
}

func TestContainersHaveFewPrivileges(t *testing.T) {
	t.Parallel()
	for name, service := range load(t).Services {
		if !service.ReadOnly || service.Privileged || !slices.Contains(service.CapDrop, "ALL") || len(service.CapAdd) > 0 ||
			!slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: want read_only, cap_drop ALL, no-new-privileges", name)
		}
		if service.Restart != types.RestartPolicyUnlessStopped {
			t.Errorf("%s: got restart %q, want %s", name, service.Restart, types.RestartPolicyUnlessStopped)
		}
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind && !volume.ReadOnly {
				t.Errorf("%s may write to %s", name, volume.Source)
			}
		}
	}
}

func TestMountedFilesExist(t *testing.T) {
	t.Parallel()
	for name, service := range load(t).Services {
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				t.Errorf("%s: %v", name, err) // Docker would create an empty folder
			}
		}
	}
}

// reaches reports whether two services have a network in common.
func reaches(from, to types.ServiceConfig) bool {
	for network := range from.Networks {
		if _, ok := to.Networks[network]; ok {
			return true
		}
	}
	return false
}

func TestProgramsReachTheServers(t *testing.T) {
	t.Parallel()
	services := load(t).Services
	ports := map[string]string{"nats": itoa(natsOptions(t).Port), "mongodb": "27017"}
	for _, p := range programs(t) {
		for _, text := range p.urls {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			server, ok := services[u.Hostname()]
			if !ok || !reaches(p.service, server) || u.Port() != ports[u.Hostname()] {
				t.Errorf("%s: %s cannot be reached", p.name, text)
			}
		}
	}
}

func TestServersAreOnInternalNetworks(t *testing.T) {
	t.Parallel()
	project := load(t)
	for _, name := range []string{"nats", "mongodb"} {
		for network := range project.Services[name].Networks {
			if !project.Networks[network].Internal {
				t.Errorf("%s, which asks for no password, is in network %s, which is not internal", name, network)
			}
		}
	}
	if reaches(project.Services["bridge"], project.Services["mongodb"]) {
		t.Error("the bridge can reach MongoDB, which it does not use")
	}
}

func TestNATSSyncsBeforeItAcknowledges(t *testing.T) {
	t.Parallel()
	opts := natsOptions(t)
	if !opts.JetStream || !opts.SyncAlways {
		t.Errorf("got JetStream %t, sync_interval always %t, want both", opts.JetStream, opts.SyncAlways)
	}
	if opts.MaxPayload != 4<<20 {
		t.Errorf("got max_payload %d, want 4 MB", opts.MaxPayload)
	}
	named := func(volume types.ServiceVolumeConfig) bool {
		return volume.Type == types.VolumeTypeVolume && volume.Source != "" && volume.Target == opts.StoreDir
	}
	if !slices.ContainsFunc(load(t).Services["nats"].Volumes, named) {
		t.Errorf("no named volume is mounted at %s", opts.StoreDir)
	}
}

// natsOptions reads the configuration file of the NATS service, as the server does.
func natsOptions(t *testing.T) *server.Options {
	t.Helper()
	nats := load(t).Services["nats"]
	opts, err := server.ProcessConfigFile(mounted(t, nats, nats.Command[len(nats.Command)-1]))
	if err != nil {
		t.Fatal(err)
	}
	return opts
}

// startNATS runs a server with that configuration, on other ports.
func startNATS(t *testing.T, opts *server.Options) *server.Server {
	t.Helper()
	opts = opts.Clone()
	opts.Host, opts.Port = "127.0.0.1", server.RANDOM_PORT
	opts.HTTPHost, opts.HTTPPort = "127.0.0.1", server.RANDOM_PORT
	opts.StoreDir = t.TempDir()
	return natstest.Serve(t, opts)
}

// The name of the replica set is repeated in three places, and that of its node in two.
func TestMongoDBIsTheReplicaSetInTheURI(t *testing.T) {
	t.Parallel()
	mongodb := load(t).Services["mongodb"]
	var asked *url.URL
	for _, p := range programs(t) {
		for _, text := range p.urls {
			if u, err := url.Parse(text); err == nil && u.Scheme == "mongodb" {
				asked = u
			}
		}
	}
	if asked == nil {
		t.Fatal("no program connects to MongoDB")
	}
	set := asked.Query().Get("replicaSet")
	if i := slices.Index(mongodb.Command, "--replSet"); i < 0 || set == "" || mongodb.Command[i+1] != set {
		t.Errorf("got command %q, want the replica set %q", mongodb.Command, set)
	}
	if mongodb.Hostname != asked.Hostname() {
		t.Errorf("got hostname %q, want %q: the node must find itself under its name", mongodb.Hostname, asked.Hostname())
	}
	script := read(t, mounted(t, mongodb, mongodb.HealthCheck.Test[len(mongodb.HealthCheck.Test)-1]))
	for _, want := range []string{"rs.initiate", "_id: '" + set + "'", "host: '" + asked.Host + "'"} {
		if !strings.Contains(script, want) {
			t.Errorf("the health check lacks %q", want)
		}
	}
}

func TestImagesArePinned(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+\.\d+[a-z0-9.-]*$`)
	images := slices.Collect(maps.Keys(stages(t)))
	for _, service := range load(t).Services {
		if service.Build == nil {
			images = append(images, service.Image)
		}
	}
	if len(images) < 6 {
		t.Fatalf("found only %q", images)
	}
	for _, image := range images {
		if !pinned.MatchString(image) {
			t.Errorf("got image %s, want one of a version", image)
		}
	}
}

// The version that is tested is the one that is deployed.
func TestNATSImageIsTheTestedVersion(t *testing.T) {
	t.Parallel()
	if got, want := load(t).Services["nats"].Image, "nats:"+server.VERSION+"-alpine"; got != want {
		t.Errorf("got image %s, want %s", got, want)
	}
}

var from = regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?(\S+) AS (\S+)$`)

// stages returns the base images of the Dockerfile, and the name of the stage made from each.
func stages(t *testing.T) map[string]string {
	t.Helper()
	base, own := map[string]string{}, map[string]bool{}
	for _, match := range from.FindAllStringSubmatch(read(t, filepath.Join(root, "Dockerfile")), -1) {
		if !own[match[1]] {
			base[match[1]] = match[2]
		}
		own[match[2]] = true
	}
	return base
}

func TestDockerfileUsesTheGoVersionOfTheModule(t *testing.T) {
	t.Parallel()
	need := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindStringSubmatch(read(t, filepath.Join(root, "go.mod")))
	for image, stage := range stages(t) {
		if stage != "build" {
			continue
		}
		if need == nil || image != "golang:"+need[1] {
			t.Errorf("got %s, want Go %s", image, need)
		}
		return
	}
	t.Error("there is no stage build")
}

func TestDockerfileBuildsTheServices(t *testing.T) {
	t.Parallel()
	dockerfile := read(t, filepath.Join(root, "Dockerfile"))
	for _, p := range programs(t) {
		if p.service.Build == nil || p.service.Build.Target != p.name {
			t.Errorf("%s: got build %+v, want the target of its name", p.name, p.service.Build)
		}
		_, stage, ok := strings.Cut(dockerfile, "\nFROM runtime AS "+p.name+"\n")
		stage, _, _ = strings.Cut(stage, "\nFROM ")
		if !ok || !strings.Contains(stage, "ENTRYPOINT [\""+p.name+"\"]") || !strings.Contains(stage, "/out/"+p.name+" ") {
			t.Errorf("%s: the Dockerfile has no such stage", p.name)
		}
		if len(p.service.Entrypoint) > 0 {
			t.Errorf("%s: got entrypoint %q, want that of the image", p.name, p.service.Entrypoint)
		}
		if !strings.Contains(dockerfile, " ./cmd/"+p.name) {
			t.Errorf("%s is not built", p.name)
		}
	}
	user := regexp.MustCompile(`(?m)^USER [1-9]\d*:[1-9]\d*$`)
	if !user.MatchString(dockerfile) || !strings.Contains(dockerfile, "CGO_ENABLED=0") {
		t.Error("want static binaries and a user by number that is not root")
	}
}
