// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/pleat-go/pleat"
)

// browser is a headless Chromium, driven by the DevTools protocol.
type browser struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
	last atomic.Int64

	mu      sync.Mutex
	pending map[int64]chan reply // guarded by mu
}

type reply struct {
	ID     int64           `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// startBrowser starts a browser for a test that may take four minutes.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("no browser in short mode")
	}
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium here: the Debian package is chromium")
	}
	profile, err := os.MkdirTemp("", "chat-browser") //nolint:usetesting // the processes of a browser may still write when the test has ended
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--remote-debugging-port=0", "--window-size=1000,640", "--user-data-dir="+profile, "about:blank")
	cmd.WaitDelay = 5 * time.Second
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("%s does not start: %v", path, err)
	}
	b := &browser{t: t, ctx: ctx, pending: map[int64]chan reply{}}
	lines := bufio.NewScanner(stderr)
	var said strings.Builder
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "DevTools listening on "); ok {
			if b.conn, _, err = websocket.Dial(ctx, address, nil); err != nil {
				t.Fatal(err)
			}
			break
		}
		said.WriteString(lines.Text() + "\n")
	}
	if b.conn == nil {
		_ = cmd.Wait()
		t.Skipf("%s does not work here:\n%s", path, said.String())
	}
	go func() { // it may go on to say things
		for lines.Scan() {
		}
	}()
	b.conn.SetReadLimit(-1)
	go b.read()
	t.Cleanup(func() {
		_, _ = b.call("", "Browser.close", nil)
		_ = b.conn.CloseNow()
		_ = cmd.Wait()
	})
	return b
}

func (b *browser) read() {
	for {
		var r reply
		if err := wsjson.Read(b.ctx, b.conn, &r); err != nil {
			b.mu.Lock()
			for id, ch := range b.pending {
				close(ch)
				delete(b.pending, id)
			}
			b.pending = nil
			b.mu.Unlock()
			return
		}
		b.mu.Lock()
		if ch := b.pending[r.ID]; ch != nil {
			delete(b.pending, r.ID)
			ch <- r
		}
		b.mu.Unlock()
	}
}

func (b *browser) call(session, method string, params any) (json.RawMessage, error) {
	id := b.last.Add(1)
	ch := make(chan reply, 1)
	b.mu.Lock()
	if b.pending == nil {
		b.mu.Unlock()
		return nil, fmt.Errorf("%s: the browser is gone", method)
	}
	b.pending[id] = ch
	b.mu.Unlock()
	if params == nil {
		params = struct{}{}
	}
	message := map[string]any{"id": id, "method": method, "params": params}
	if session != "" {
		message["sessionId"] = session
	}
	if err := wsjson.Write(b.ctx, b.conn, message); err != nil {
		return nil, err
	}
	r, ok := <-ch
	switch {
	case !ok:
		return nil, fmt.Errorf("%s: the browser is gone", method)
	case r.Error != nil:
		return nil, fmt.Errorf("%s: %s", method, r.Error.Message)
	}
	return r.Result, nil
}

// tab is a page in the browser.
type tab struct {
	*browser
	session string
}

func (b *browser) open(url string) *tab {
	b.t.Helper()
	var target struct {
		TargetID  string `json:"targetId"`
		SessionID string `json:"sessionId"`
	}
	b.do("", "Target.createTarget", map[string]any{"url": url}, &target)
	b.do("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	p := &tab{b, target.SessionID}
	// A new page is at first an empty one, which is complete, too.
	p.until(`location.href !== 'about:blank' && document.readyState`, "complete")
	return p
}

func (b *browser) do(session, method string, params, result any) {
	b.t.Helper()
	raw, err := b.call(session, method, params)
	if err == nil && result != nil {
		err = json.Unmarshal(raw, result)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// eval is the value of an expression in the page, as text.
func (p *tab) eval(expression string) string {
	p.t.Helper()
	var result struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text string `json:"text"`
		} `json:"exceptionDetails"`
	}
	p.do(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &result)
	if result.Exception != nil {
		p.t.Fatalf("%s: %s", expression, result.Exception.Text)
	}
	return fmt.Sprint(result.Result.Value)
}

// until waits for an expression to have a value.
func (p *tab) until(expression, want string) {
	p.t.Helper()
	got := ""
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = p.eval(expression); got == want {
			return
		}
	}
	p.t.Fatalf("%s is %q, want %q", expression, got, want)
}

func (p *tab) join(name string) {
	p.t.Helper()
	p.eval(fmt.Sprintf(`document.getElementById('name').value = %q; document.querySelector('#join button').click()`, name))
	p.until(statusText, "Connected")
}

func (p *tab) say(text string) {
	p.t.Helper()
	p.eval(fmt.Sprintf(`document.getElementById('text').value = %q; document.querySelector('#say button').click()`, text))
}

// picture saves what the page looks like, where CHAT_PICTURES names a folder.
func (p *tab) picture(name string) {
	p.t.Helper()
	dir := os.Getenv("CHAT_PICTURES")
	if dir == "" {
		return
	}
	var shot struct {
		Data string `json:"data"`
	}
	p.do(p.session, "Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(dir+"/"+name+".png", png, 0o644)
	}
	if err != nil {
		p.t.Error(err)
	}
}

const (
	statusText = `document.getElementById('status').textContent`
	here       = `[...document.querySelectorAll('#here li')].map(e => e.textContent).join()`
	messages   = `[...document.querySelectorAll('#log p:not(.empty)')].map(e => e.querySelector('b').textContent + ': ' + e.childNodes[1].textContent.trim()).join()`
)

// Two pages talk; the server goes away and comes back; they connect again by
// themselves, and what was typed meanwhile is not lost.
func TestBrowserChat(t *testing.T) {
	b := startBrowser(t)
	base, stop := start(t, newApp(newRoom(), silent()), "127.0.0.1:0")
	ada, bob := b.open(base+"/"), b.open(base+"/")
	ada.picture("join")
	ada.join("ada")
	bob.join("bob")
	ada.until(here, "ada,bob")
	ada.say("Hello, is anybody here?")
	bob.until(messages, "ada: Hello, is anybody here?")
	bob.say("<b>I am</b> & so is <script>alert(1)</script>")
	const both = "ada: Hello, is anybody here?,bob: <b>I am</b> & so is <script>alert(1)</script>"
	ada.until(messages, both)
	bob.until(messages, both)
	if n := ada.eval(`document.querySelectorAll('#log script, #log p b b').length`); n != "0" {
		t.Error("a message became part of the page")
	}
	ada.picture("chat")

	ada.eval(`document.getElementById('text').value = 'half a sentence'`)
	stop()
	ada.until(`document.getElementById('status').className`, "")
	ada.picture("lost")
	_, _ = start(t, newApp(newRoom(), silent()), strings.TrimPrefix(base, "http://"))
	ada.until(statusText, "Connected")
	bob.until(statusText, "Connected")
	ada.until(`[...document.querySelectorAll('#here li')].map(e => e.textContent).sort().join()`, "ada,bob")
	ada.until(`document.getElementById('text').value`, "half a sentence")
	bob.say("back again")
	ada.until(messages, both+",bob: back again")
	bob.eval(`location.href = 'about:blank'`)
	ada.until(here, "ada")
	b.do(ada.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": 380, "height": 640, "deviceScaleFactor": 1, "mobile": true}, nil)
	ada.picture("narrow")
}

// When the server ends a stream of events, the browser asks again, with the id of the
// last one that it has got.
func TestBrowserEventSource(t *testing.T) {
	b := startBrowser(t)
	r := newRoom()
	var mu sync.Mutex
	var ids []string // that were asked with
	app := pleat.New(pleat.Config{})
	app.Use(func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			if c.Path() == "/presence" {
				mu.Lock()
				ids = append(ids, c.Header("Last-Event-ID"))
				mu.Unlock()
			}
			return next(c)
		}
	})
	h := &handlers{room: r, streamTime: 50 * time.Millisecond}
	app.GET("/", servePage)
	app.GET("/presence", h.presence)
	base, _ := start(t, app, "127.0.0.1:0")
	asked := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(ids)
	}
	_, _ = r.join("ada")
	page := b.open(base + "/")
	page.until(here, "ada")
	for i, name := range []string{"bob", "cyd"} { // each comes while there may be no stream
		n := asked()
		_, _ = r.join(name)
		page.until(`document.querySelector('#activity li')?.textContent.split(' ')[0]`, name)
		for deadline := time.Now().Add(30 * time.Second); asked() == n && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		}
		page.until(`document.querySelectorAll('#activity li').length`, fmt.Sprint(i+1)) // none twice
	}
	mu.Lock()
	defer mu.Unlock()
	if ids[0] != "" {
		t.Errorf("the first request has an id: %q", ids[0])
	}
	for i, id := range ids[1:] {
		if !strings.HasPrefix(id, r.epoch+".") {
			t.Errorf("request %d asks with %q", i+1, id)
		}
	}
	if last := ids[len(ids)-1]; len(ids) < 3 || last != r.epoch+".3" && last != r.epoch+".2" {
		t.Errorf("asked with %q", ids)
	}
}
