// SPDX-License-Identifier: MIT

//go:build !race

package pleat_test

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
)

// rawClient asks for one thing over and over, without allocating.
type rawClient struct {
	t       testing.TB
	conn    net.Conn
	request []byte
	buf     []byte
	size    int // of an answer, all of which are alike
}

func newRawClient(t testing.TB, app *pleat.App, request string) *rawClient {
	t.Helper()
	r := &rawClient{t: t, conn: serve(t, app).dial(), request: []byte(request), buf: make([]byte, 4096)}
	if _, err := r.conn.Write(r.request); err != nil {
		t.Fatal(err)
	}
	n, err := r.conn.Read(r.buf)
	if err != nil || !bytes.HasPrefix(r.buf[:n], []byte("HTTP/1.1 200 OK\r\n")) {
		t.Fatalf("%q, %v", r.buf[:n], err)
	}
	r.size = n
	return r
}

func (r *rawClient) ask() {
	if _, err := r.conn.Write(r.request); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.ReadFull(r.conn, r.buf[:r.size]); err != nil {
		r.t.Fatal(err)
	}
}

// allocations are the objects and octets that n calls of f allocate, each.
func allocations(n int, f func()) (objects, octets float64) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"}}
	read := func() (uint64, uint64) {
		runtime.GC() // brings the counters up to date
		metrics.Read(sample)
		return sample[0].Value.Uint64(), sample[1].Value.Uint64()
	}
	objects0, octets0 := read()
	for range n {
		f()
	}
	objects1, octets1 := read()
	return float64(objects1-objects0) / float64(n), float64(octets1-octets0) / float64(n)
}

const (
	plainRequest  = "GET /hello HTTP/1.1\r\nHost: bench.example\r\n\r\n"
	paramsRequest = "GET /users/42/posts/7 HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
)

func benchApp() *pleat.App {
	app := pleat.New(pleat.Config{})
	app.GET("/hello", func(c *pleat.Context) error { return c.Text(200, "Hello, World!") })
	app.GET("/users/:id/posts/:post", func(c *pleat.Context) error { return c.Text(200, c.Param("post")) })
	return app
}

// The budget of a request: 3 objects and 1 KiB, kept by nobody but the request.
func TestAllocationsOfARequest(t *testing.T) {
	for name, test := range map[string]struct {
		request         string
		objects, octets float64
	}{
		"static route": {plainRequest, 3, 1 << 10},
		"two params":   {paramsRequest, 4, 1 << 10},
	} {
		n := 100_000
		if testing.Short() {
			n = 10_000
		}
		objects, octets := allocations(n, newRawClient(t, benchApp(), test.request).ask)
		t.Logf("%s: %.2f objects, %.0f octets a request", name, objects, octets)
		if objects > test.objects || octets > test.octets {
			t.Errorf("%s: %.2f objects and %.0f octets a request, want at most %v and %v", name, objects, octets, test.objects, test.octets)
		}
	}
}

func TestLogAllocatesNothing(t *testing.T) {
	log := zerolog.New(io.Discard)
	app := pleat.New(pleat.Config{Logger: &log})
	done := make(chan float64, 1)
	app.GET("/", func(c *pleat.Context) error {
		_ = c.RequestID()
		done <- testing.AllocsPerRun(1000, func() { c.Log().Info().Str("a", "b").Int("n", 1).Msg("line") })
		return nil
	})
	serve(t, app).get("/")
	if n := <-done; n > 0 {
		t.Errorf("a line allocates %v times", n)
	}
}

func TestTypedKeysAllocateNothing(t *testing.T) {
	done := make(chan float64, 1)
	key := pleat.NewKey[*int]("n")
	app := pleat.New(pleat.Config{})
	app.GET("/", func(c *pleat.Context) error {
		n := 1
		key.Set(c, &n)
		done <- testing.AllocsPerRun(1000, func() {
			key.Set(c, &n)
			if got, _ := key.Get(c); got != &n {
				t.Error("another")
			}
		})
		return nil
	})
	serve(t, app).get("/")
	if n := <-done; n > 0 {
		t.Errorf("Set and Get allocate %v times", n)
	}
}

func BenchmarkAppText(b *testing.B) {
	r := newRawClient(b, benchApp(), plainRequest)
	b.ReportAllocs()
	for b.Loop() {
		r.ask()
	}
}

func BenchmarkAppParams(b *testing.B) {
	r := newRawClient(b, benchApp(), paramsRequest)
	b.ReportAllocs()
	for b.Loop() {
		r.ask()
	}
}

func BenchmarkContextLog(b *testing.B) {
	log := zerolog.New(io.Discard)
	app := pleat.New(pleat.Config{Logger: &log})
	app.GET("/", func(c *pleat.Context) error {
		b.ReportAllocs()
		for b.Loop() {
			c.Log().Info().Str("a", "b").Int("n", 1).Msg("line")
		}
		return nil
	})
	serve(b, app).get("/")
}
