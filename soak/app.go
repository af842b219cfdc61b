// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

// site is the app that is soaked, and what it knows of its requests.
type site struct {
	config    serverConfig
	violation func(string)
	client    *client.HTTPClient

	mu       sync.Mutex
	ledger   serverLedger // guarded by mu, as the following
	underway int
	kept     [64]keptRequest
	faulty   bool // faults are due
	spared   int  // requests since, of which some were not spared
	leaked   leaked
}

// keptRequest is a request that somebody kept after its end, and what it said.
type keptRequest struct {
	r                     *server.HTTPRequest
	nonce, target, header string // copies
}

// staticFiles are the files that the site has, with their sizes: of less than a
// buffer, of several, and worth a sendfile.
var staticFiles = map[string]int64{"small.bin": 700, "medium.bin": 90_000, "large.bin": 1_500_000}

func newSite(config serverConfig, violation func(string)) *site {
	return &site{
		config:    config,
		violation: violation,
		client: &client.HTTPClient{
			BaseURL:     config.Upstream,
			IdleTimeout: 5 * time.Second,
			Timeout:     time.Minute,
		},
	}
}

// app makes the app. The nonce is the id of a request: pleat's own middleware puts
// it into the answer, error pages, the log, and calls to the upstream.
func (s *site) app(srv *server.HTTPServer, log *zerolog.Logger) (*pleat.App, error) {
	peers, err := server.ParsePrefixes("127.0.0.0/8", claimedPeers)
	if err != nil {
		return nil, err
	}
	app := pleat.New(pleat.Config{
		Name:          "soak",
		Logger:        log,
		Server:        srv,
		Client:        s.client,
		CookieSecrets: [][]byte{octets("secret", 32)},
	})
	app.Use(
		middleware.Logger(middleware.LoggerConfig{}),
		middleware.RequestID(middleware.RequestIDConfig{Header: nonceHeader, TrustedPeers: peers, TrustUnix: true}),
		s.account,
		middleware.Recover(),
	)
	app.GET("/text/:size", s.text)
	app.POST("/upload", s.upload)
	app.POST("/form", s.form)
	app.GET("/stream/:size", s.stream)
	app.GET("/content/:size", s.content)
	app.StaticDir("/file", filepath.Join(s.config.Folder, "files"), pleat.Static{})
	app.GET("/slow/:ms", s.slow)
	app.GET("/call/:size", s.call)
	app.GET("/hang", s.hang)
	app.GET("/panic", func(c *pleat.Context) error { panic("on purpose, for " + c.RequestID()) })
	app.GET("/panic/late", s.latePanic)
	app.GET("/fail", func(c *pleat.Context) error { return pleat.NewError(http.StatusConflict, "on purpose") })
	app.GET("/events/:count", s.events)
	app.GET("/websocket", s.websocket)
	app.GET("/session", s.session)
	app.GET("/hints", s.hints)
	app.POST("/duplex", s.duplex)
	return app, nil
}

// account enters a request into the ledger, at its beginning and at its end.
func (s *site) account(next pleat.Handler) pleat.Handler {
	return func(c *pleat.Context) error {
		nonce := c.RequestID()
		kind, number, ok := parseNonce(nonce)
		if !ok || c.Header(nonceHeader) != nonce {
			s.violation(fmt.Sprintf("a request came with the nonce %q and the id %q: %s %s", c.Header(nonceHeader), nonce, c.Method(), c.Path()))
			return pleat.NewError(http.StatusBadRequest, "no nonce")
		}
		s.mu.Lock()
		fresh := s.ledger.Begun.add(number)
		s.ledger.count(kind).Begun++
		s.underway++
		s.mu.Unlock()
		if !fresh {
			s.violation("a handler was called twice for " + nonce)
		}
		c.OnFinish(func(c *pleat.Context) { s.finished(c, nonce, kind, number) })
		if err := c.SetHeader("Peer", c.Request().PeerIP().String()); err != nil {
			return err
		}
		s.fault(c, number)
		return next(c)
	}
}

func (s *site) finished(c *pleat.Context, nonce, kind string, number uint64) {
	r := c.Request()
	if id := c.RequestID(); id != nonce || r.Header().Get(nonceHeader) != nonce {
		s.violation(fmt.Sprintf("the request %s became %q, %q while it was served", nonce, id, r.Header().Get(nonceHeader)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underway--
	if c.Aborted() {
		s.ledger.Broken.add(number)
		s.ledger.count(kind).Broken++
	} else {
		s.ledger.Whole.add(number)
		s.ledger.count(kind).Whole++
	}
	// A request that was kept for some 64 others still says what it said.
	old := &s.kept[number%uint64(len(s.kept))]
	if old.r != nil && (old.r.Target() != old.target || old.r.Header().Get(nonceHeader) != old.nonce || fmt.Sprint(old.r.Header()) != old.header) {
		s.violation(fmt.Sprintf("the request %s changed after its end: it is %s %v now", old.nonce, old.r.Target(), old.r.Header()))
	}
	*old = keptRequest{r, strings.Clone(nonce), strings.Clone(r.Target()), fmt.Sprint(r.Header())}
}

// forget lets go of the requests that were kept.
func (s *site) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.kept[:])
}

func (s *site) text(c *pleat.Context) error {
	size, err := c.ParamInt("size")
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "application/octet-stream", bodyFor(c.RequestID(), size))
}

// uploaded is what a handler tells about what it was sent.
type uploaded struct {
	Nonce   string
	Size    int64
	Digest  string
	Trailer string // the digest that came behind the body
	Files   []uploaded
}

// upload reads a body in pieces of all sizes, and sometimes takes its time.
func (s *site) upload(c *pleat.Context) error {
	var all bytes.Buffer
	buf := make([]byte, 1+rand.IntN(20_000))
	for body := c.Request().BodyReader(); ; {
		n, err := body.Read(buf)
		all.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if rand.IntN(50) == 0 {
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		}
	}
	return c.JSON(http.StatusOK, uploaded{
		Nonce: c.RequestID(), Size: int64(all.Len()), Digest: digest(all.Bytes()), Trailer: c.Trailer().Get("Digest"),
	})
}

func (s *site) form(c *pleat.Context) error {
	files, err := c.Request().Files()
	if err != nil {
		return err
	}
	answer := uploaded{Nonce: c.RequestID(), Trailer: c.Form("nonce")}
	for i := range len(files) {
		file := files["file"+strconv.Itoa(i)]
		if len(file) != 1 {
			return pleat.NewError(http.StatusBadRequest, "a file is missing")
		}
		one, err := readPart(file[0])
		if err != nil {
			return err
		}
		answer.Files = append(answer.Files, one)
	}
	return c.JSON(http.StatusOK, answer)
}

func readPart(file *multipart.FileHeader) (uploaded, error) {
	f, err := file.Open()
	if err != nil {
		return uploaded{}, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(f)
	return uploaded{Nonce: file.Filename, Size: int64(len(b)), Digest: digest(b)}, err
}

// stream answers in pieces of all sizes, each sent at once, and the digest behind.
func (s *site) stream(c *pleat.Context) error {
	size, err := c.ParamInt("size")
	if err != nil {
		return err
	}
	body := bodyFor(c.RequestID(), size)
	if err := c.SetTrailer("Digest", digest(body)); err != nil {
		return err
	}
	for len(body) > 0 {
		n := min(1+rand.IntN(30_000), len(body))
		if _, err := c.Write(body[:n]); err != nil {
			return err
		}
		if err := c.Flush(); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

func (s *site) content(c *pleat.Context) error {
	size, err := c.ParamInt("size")
	if err != nil {
		return err
	}
	return c.Request().SendContent("content.bin", time.Time{}, bytes.NewReader(bodyFor(c.RequestID(), size)),
		server.FileOptions{ETag: strconv.Quote(c.RequestID())})
}

// slow blocks: half of the time whatever happens to the client.
func (s *site) slow(c *pleat.Context) error {
	ms, err := c.ParamInt("ms")
	if err != nil {
		return err
	}
	wait := time.Duration(ms) * time.Millisecond
	if ms%2 == 0 {
		time.Sleep(wait)
		return s.answer(c)
	}
	select {
	case <-time.After(wait):
		return s.answer(c)
	case <-c.Done():
		return context.Cause(c)
	}
}

func (s *site) answer(c *pleat.Context) error { return c.Text(http.StatusOK, c.RequestID()+"\n") }

func (s *site) call(c *pleat.Context) error {
	body, err := c.Client().Get("/text/" + c.Param("size")).Bytes()
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "application/octet-stream", body)
}

// hang calls an upstream that does not answer: only the client's going ends it.
func (s *site) hang(c *pleat.Context) error {
	_, err := c.Client().Get("/hang").Bytes()
	if err == nil || !errors.Is(context.Cause(c), server.ErrClientGone) {
		s.violation(fmt.Sprintf("the call for %s ended with %v, the context with %v", c.RequestID(), err, context.Cause(c)))
	}
	return err
}

// latePanic panics when some of the answer is on its way.
func (s *site) latePanic(c *pleat.Context) error {
	if _, err := c.WriteString(c.RequestID() + "\n"); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	panic("on purpose, late, for " + c.RequestID())
}

func (s *site) events(c *pleat.Context) error {
	count, err := c.ParamInt("count")
	if err != nil {
		return err
	}
	return c.SSE(func(stream *pleat.EventStream) error {
		for i := range count {
			event := render.Event{ID: strconv.FormatInt(i, 10), Name: "soak", Data: c.RequestID() + "\n" + strings.Repeat("x", rand.IntN(2000))}
			if err := stream.Send(event); err != nil {
				return err
			}
			select {
			case <-stream.Done():
				return context.Cause(stream.Context())
			case <-time.After(time.Duration(rand.IntN(20)) * time.Millisecond):
			}
		}
		return nil
	})
}

// websocket says whose it is, and then everything it hears.
func (s *site) websocket(c *pleat.Context) error {
	return c.WebSocket(pleat.WebSocketOptions{MaxMessage: 1 << 20}, func(ctx context.Context, conn *websocket.Conn) error {
		if err := conn.Write(ctx, websocket.MessageText, []byte(c.RequestID())); err != nil {
			return err
		}
		for {
			kind, message, err := conn.Read(ctx)
			if err != nil {
				return err
			}
			if err := conn.Write(ctx, kind, message); err != nil {
				return err
			}
		}
	})
}

// visitor is what a session's cookie holds.
type visitor struct {
	First string // nonce of the first request
	Last  string
	Count int
}

func (s *site) session(c *pleat.Context) error {
	var v visitor
	switch err := c.SecureCookie("visitor", &v); {
	case errors.Is(err, server.ErrNoCookie):
		v.First = c.RequestID()
	case err != nil:
		return err
	}
	v.Last = c.RequestID()
	v.Count++
	var opts []server.CookieOption
	if v.Count%2 == 0 {
		opts = append(opts, server.WithEncryption())
	}
	if err := c.SetSecureCookie("visitor", v, opts...); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, v)
}

func (s *site) hints(c *pleat.Context) error {
	if err := c.EarlyHints("</" + c.RequestID() + ">; rel=preload"); err != nil {
		return err
	}
	return s.answer(c)
}

// duplex answers each piece of a body as it comes.
func (s *site) duplex(c *pleat.Context) error {
	if err := c.FullDuplex(); err != nil {
		return err
	}
	if err := c.SetHeader("Content-Type", "application/octet-stream"); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for body := c.Request().BodyReader(); ; {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := c.Write(buf[:n]); err != nil {
				return err
			}
			if err := c.Flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
