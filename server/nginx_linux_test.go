// SPDX-License-Identifier: MIT

package server_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// front is an nginx that hands requests on to a server of ours over connections
// it keeps. What it hands on carries a token that no client knows, and its own
// reading of the request, so that the server can tell a request that nginx meant
// from one that was hidden in another.
type front struct {
	dir, token string

	mu   sync.Mutex
	seen []string // what the server took for requests: "METHOD target nonce"
	odd  []string // and what was wrong with them
}

// frontServers are the ways in: by the defaults, and with everything let through
// that nginx can be told to let through, bodies included as they come.
var frontServers = []string{"default", "lenient"}

const frontConfig = `
daemon off;
master_process off;
error_log %[1]s/error.log notice;
pid %[1]s/nginx.pid;
events { worker_connections 128; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	merge_slashes off;
	lingering_time 1s;
	proxy_http_version 1.1;
	proxy_ignore_client_abort on;
	proxy_next_upstream off;
	add_header X-Front-Id $request_id always;
	upstream back { server %[2]s; keepalive 1; }
	server {
		listen unix:%[1]s/default;
		location / {
			proxy_pass http://back;
			%[3]s
		}
	}
	server {
		listen unix:%[1]s/lenient;
		underscores_in_headers on;
		ignore_invalid_headers off;
		location / {
			proxy_pass http://back;
			proxy_request_buffering off;
			proxy_buffering off;
			proxy_set_header Host $http_host;
			%[3]s
		}
	}
}
`

// frontFields say what nginx takes the request for. A place that sets one field
// inherits no others, so each has them all.
const frontFields = `proxy_set_header Connection "";
	proxy_set_header X-Front-Token %s;
	proxy_set_header X-Front-Id $request_id;
	proxy_set_header X-Front-Method $request_method;
	proxy_set_header X-Front-Target $request_uri;
	proxy_set_header X-Front-Length $content_length;`

// newFront starts nginx in front of a server that runs until the test ends.
func newFront(t *testing.T) *front {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Skip("there is no nginx on this machine")
		}
	}
	f := &front{token: rand.Text()}
	//nolint:usetesting // nginx is another user here, and gets into no folder of ours
	if f.dir, err = os.MkdirTemp("", "front"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(f.dir) })
	back := startFunc(t, f.serve)
	config := filepath.Join(f.dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, frontConfig, f.dir, back, fmt.Sprintf(frontFields, f.token)), 0o644); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	cmd := exec.Command(path, "-p", f.dir, "-e", f.dir+"/error.log", "-c", config)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // if the tests are killed
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		for _, its := range []string{f.dir, config} { // whatever the umask
			if err := os.Chown(its, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		// It is killed when the thread ends that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Skipf("nginx does not start: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	up := func() bool {
		conn, err := net.Dial("unix", f.dir+"/"+frontServers[len(frontServers)-1])
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}
	if !settles(up) {
		errorLog, _ := os.ReadFile(f.dir + "/error.log")
		t.Fatalf("nginx is not up: %s%s", errorLog, output.Bytes())
	}
	return f
}

// serve writes down what it was asked and says which request it answers.
func (f *front) serve(r *server.HTTPRequest) {
	h := r.Header()
	nonce := h.Get("X-Nonce")
	var odd []string
	for name, want := range map[string]string{
		"X-Front-Token": f.token, "X-Front-Method": r.Method(), "X-Front-Target": r.Target(),
	} {
		// nginx knows the target of an absolute-form and hands on the path.
		if got := h.Values(name); len(got) != 1 || got[0] != want && !strings.HasPrefix(got[0], "http://") {
			odd = append(odd, fmt.Sprintf("%s is %q, want %q", name, got, want))
		}
	}
	var body []byte
	if r.Path() != "/ignore" {
		body, _ = r.Body() // of what is cut short or wrong there is none
	}
	if want := h.Get("X-Front-Length"); want != "" && r.Path() != "/ignore" && strconv.Itoa(len(body)) != want && len(body) > 0 {
		odd = append(odd, fmt.Sprintf("body of %d octets, nginx says %s", len(body), want))
	}
	what := fmt.Sprintf("%s %s %s", r.Method(), r.Target(), nonce)
	f.mu.Lock()
	f.seen = append(f.seen, what)
	for _, o := range odd {
		f.odd = append(f.odd, what+": "+o)
	}
	f.mu.Unlock()
	_ = r.SetHeader("X-Back-Id", h.Get("X-Front-Id"))
	_ = r.SendString(200, text, "answer to "+nonce+"\n")
}

// findings are what was odd since the last call, and what was seen.
func (f *front) findings() (odd, seen []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	odd, seen = f.odd, f.seen
	f.odd, f.seen = nil, nil
	return odd, seen
}

func (f *front) dial(t *testing.T, way string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", f.dir+"/"+way)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// victim is somebody else, whose request shares the connection behind nginx.
func (f *front) victim(t *testing.T, way string, method string) {
	t.Helper()
	conn := f.dial(t, way)
	defer conn.Close()
	nonce := rand.Text()
	body := "a=" + nonce
	fmt.Fprintf(conn, "%s /victim HTTP/1.1\r\nHost: a.test\r\nX-Nonce: %s\r\nContent-Length: %d\r\n\r\n%s", method, nonce, len(body), body)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("the victim got no answer: %v", err)
		return
	}
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || string(answer) != "answer to "+nonce+"\n" {
		t.Errorf("the victim got %d %q, %v", res.StatusCode, answer, err)
	}
	checkIDs(t, res)
}

// checkIDs asserts that an answer belongs to the request nginx gives it for.
func checkIDs(t *testing.T, res *http.Response) {
	t.Helper()
	id, back := res.Header.Values("X-Front-Id"), res.Header.Values("X-Back-Id")
	if len(back) > 0 && (len(id) != 1 || len(back) != 1 || id[0] != back[0]) {
		t.Errorf("the answer to request %q was given for %q", back, id)
	}
}

// answers reads all that comes on a connection.
func answers(t *testing.T, conn net.Conn) (statuses []int) {
	t.Helper()
	r := bufio.NewReader(conn)
	for {
		// What comes after an answer to HEAD is the next answer; those of the server
		// to HEAD have a length and no body.
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return statuses
		}
		statuses = append(statuses, res.StatusCode)
		if res.StatusCode == 100 {
			continue
		}
		checkIDs(t, res)
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return statuses
		}
	}
}

// TestNginx sends requests that two readers could understand in two ways through
// nginx, and has others use the same connections afterwards.
func TestNginx(t *testing.T) {
	f := newFront(t)
	for _, way := range frontServers {
		t.Run(way, func(t *testing.T) {
			refused := 0
			for _, pair := range smugglingPairs() {
				t.Run(pair.name, func(t *testing.T) {
					conn := f.dial(t, way)
					defer conn.Close()
					if _, err := io.WriteString(conn, pair.octets); err != nil {
						t.Fatal(err)
					}
					f.victim(t, way, "GET")
					f.victim(t, way, "POST")
					_ = conn.(*net.UnixConn).CloseWrite()
					got := answers(t, conn)
					f.victim(t, way, "POST")
					odd, seen := f.findings()
					for _, o := range odd {
						t.Errorf("a request that nginx did not mean: %s (nginx answered %v)", o, got)
					}
					if len(seen) < 3 {
						t.Errorf("the victims' requests did not all come: %q", seen)
					}
					if len(seen) == 3 {
						refused++
					}
					if pair.passes && len(seen) == 3 {
						t.Errorf("nothing of it came through, nginx answered %v", got)
					}
				})
			}
			t.Logf("%d pairs, %d of them stopped by nginx", len(smugglingPairs()), refused)
		})
	}
}
