// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// start serves an app and returns its address, and what ends it.
func start(t *testing.T, app *pleat.App, addr string) (base string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.RunListener(ctx, l) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the app ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return "http://" + l.Addr().String(), stop
}

func silent() *zerolog.Logger {
	log := zerolog.Nop()
	return &log
}

// guest is somebody in the room.
type guest struct {
	t    *testing.T
	conn *websocket.Conn
	name string
}

func enter(t *testing.T, base, name string) *guest {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), base+"/chat?name="+url.QueryEscape(name), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	g := &guest{t, conn, ""}
	hello := g.next()
	if hello.Kind != "hello" {
		t.Fatalf("greeted with %+v", hello)
	}
	g.name = hello.Name
	return g
}

func (g *guest) say(text string) {
	g.t.Helper()
	if err := g.conn.Write(g.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		g.t.Error(err)
	}
}

func (g *guest) next() (e entry) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	defer cancel()
	if err := wsjson.Read(ctx, g.conn, &e); err != nil {
		g.t.Fatal(err)
	}
	return e
}

func (g *guest) wantClose(code websocket.StatusCode) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	defer cancel()
	for {
		_, _, err := g.conn.Read(ctx)
		if err == nil {
			continue
		}
		if websocket.CloseStatus(err) != code {
			g.t.Errorf("%s: closed with %v, want %d", g.name, err, code)
		}
		return
	}
}

func TestConversation(t *testing.T) {
	base, stop := start(t, newApp(newRoom(), silent()), "127.0.0.1:0")
	ada, bob := enter(t, base, "ada"), enter(t, base, "  bob  the builder ")
	ada.say("hello")
	for _, g := range []*guest{ada, bob} {
		if e := g.next(); e.Name != "ada" || e.Text != "hello" || e.Kind != kindMessage {
			t.Errorf("%s gets %+v", g.name, e)
		}
	}
	bob.say("  <b>hi</b> ")
	if e := ada.next(); e.Name != "bob the builder" || e.Text != "<b>hi</b>" {
		t.Errorf("got %+v", e)
	}
	late := enter(t, base, "ada")
	if late.name != "ada (2)" {
		t.Errorf("the second ada is %q", late.name)
	}
	if e := late.next(); e.Text != "hello" {
		t.Errorf("late comers get %+v", e)
	}
	_ = bob.conn.Write(t.Context(), websocket.MessageBinary, []byte("x"))
	bob.wantClose(websocket.StatusInvalidFramePayloadData)
	late.say(strings.Repeat("x", maxText+1))
	late.wantClose(websocket.StatusMessageTooBig)
	loud := enter(t, base, "loud")
	for range burst + 20 {
		_ = loud.conn.Write(t.Context(), websocket.MessageText, []byte("!")) // it may be out by then
	}
	loud.wantClose(websocket.StatusPolicyViolation)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	ada.wantClose(websocket.StatusGoingAway)
	<-stopped
}

func TestNames(t *testing.T) {
	base, _ := start(t, newApp(newRoom(), silent()), "127.0.0.1:0")
	for _, name := range []string{"", " ", "a\nb\x00", "<b>", strings.Repeat("x", maxName+1), "\u202eadmin", "\xff"} {
		conn, resp, err := websocket.Dial(t.Context(), base+"/chat?name="+url.QueryEscape(name), nil)
		if err == nil {
			_ = conn.CloseNow()
			t.Errorf("%q got in", name)
		} else if resp == nil || resp.StatusCode != 400 {
			t.Errorf("%q: %v", name, err)
		}
	}
	_, resp, err := websocket.Dial(t.Context(), base+"/chat?name=a", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
	if err == nil || resp.StatusCode != 403 {
		t.Errorf("a page of another site: %v", err)
	}
}

// Who does not read is dropped, and nobody waits for it.
func TestSlowGuest(t *testing.T) {
	r := newRoom()
	base, _ := start(t, newApp(r, silent()), "127.0.0.1:0")
	slow := enter(t, base, "slow")
	text := strings.Repeat("x", 100<<10) // which no guest could say
	var last int64
	for range 10_000 {
		r.say("room", text)
		r.mu.Lock()
		n := len(r.receivers)
		last = r.last
		r.mu.Unlock()
		if n == 0 {
			break
		}
	}
	if last == 10_001 {
		t.Fatal("never dropped")
	}
	for {
		_, _, err := slow.conn.Read(t.Context())
		if err == nil {
			continue
		}
		break
	}
	quick := enter(t, base, "quick")
	quick.conn.SetReadLimit(-1)
	if e := quick.next(); e.Text != text {
		t.Errorf("%+v", e)
	}
}

// events reads a stream of events until it has as many.
func events(t *testing.T, base, lastID string, n int) (ids []string, entries []entry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	q, _ := http.NewRequestWithContext(ctx, "GET", base+"/presence", nil)
	q.Header.Set("Last-Event-ID", lastID)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && len(entries) < n {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			ids = append(ids, id)
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var e entry
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
		}
	}
	return ids, entries
}

func TestPresence(t *testing.T) {
	r := newRoom()
	base, stop := start(t, newApp(r, silent()), "127.0.0.1:0")
	_, _ = r.join("ada")
	ids, first := events(t, base, "", 1)
	if len(first) != 1 || first[0].Kind != "here" || !slices.Equal(first[0].Here, []string{"ada"}) {
		t.Fatalf("first %+v", first)
	}
	_, _ = r.join("bob")
	r.say("bob", "not for this stream")
	r.leave("ada")
	_, missed := events(t, base, ids[0], 2)
	if got := fmt.Sprint(kinds(missed)); got != "[joined bob left ada]" {
		t.Errorf("who comes again gets %s", got)
	}
	for _, id := range []string{"another run.1", ids[0] + "x", "9223372036854775808", "."} {
		if _, again := events(t, base, id, 1); again[0].Kind != "here" {
			t.Errorf("after %q: %+v", id, again)
		}
	}
	resp, err := http.Get(base + "/presence")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stop() // does not wait for the stream
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the stream is cut: %v", err)
	}
}

func kinds(entries []entry) (all []string) {
	for _, e := range entries {
		all = append(all, e.Kind, e.Name)
	}
	return all
}

func TestPage(t *testing.T) {
	base, _ := start(t, newApp(newRoom(), silent()), "127.0.0.1:0")
	resp, err := http.Get(base + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != page || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%v %v", err, resp.Header)
	}
	if policy := resp.Header.Get("Content-Security-Policy"); strings.Count(policy, "'sha256-") != 2 || strings.Contains(page, "://") || strings.Contains(page, "src=") {
		t.Errorf("policy %s", policy)
	}
	for _, part := range []string{`lang="en"`, "<title>", `role="log"`, `role="status"`, "<label>"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page has no %s", part)
		}
	}
}

func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, "127.0.0.1:0", silent()); err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), "no such address", silent()); err == nil || errors.Is(err, server.ErrServerClosed) {
		t.Errorf("got %v", err)
	}
}
