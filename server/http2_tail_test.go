// SPDX-License-Identifier: MIT

package server_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/pleat-go/pleat/server"
)

// The rest of an answer whose handler has returned is not kept for a client that
// never takes it.
func TestHTTP2TailNobodyTakes(t *testing.T) {
	s := &server.HTTPServer{RateGrace: soon, MinRate: 1 << 40, HTTP2: server.HTTP2{Cleartext: true}, Handler: server.HandlerFunc(ok)}
	f := frame(t, start(t, s), nil)
	must(t, f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	if _, err := f.get("/"); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := f.ReadFrame(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection was kept")
			}
			return
		}
	}
}

// What a connection had is free when it is over, and not only when the time is over
// that its answers might have taken: also of one whose client has reset its request.
func TestHTTP2ConnectionsAreFreed(t *testing.T) {
	var freed atomic.Int64
	s := &server.HTTPServer{HTTP2: server.HTTP2{Cleartext: true}, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		// Its own of each connection, and as long-lived as that.
		addr := r.StdRequest().Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		runtime.AddCleanup(addr, func(int) { freed.Add(1) }, 0)
		_, _ = r.Write([]byte("beginning"))
		_ = r.Flush()
		<-r.Context().Done()
	})}
	addr := start(t, s)
	const connections = 100
	for range connections {
		f := frame(t, addr, nil)
		stream, err := f.get("/")
		if err != nil {
			t.Fatal(err)
		}
		if status := f.status(stream); status != "200" {
			t.Fatalf("the status is %s", status)
		}
		must(t, f.WriteRSTStream(stream, http2.ErrCodeCancel))
		must(t, f.WritePing(false, [8]byte{}))
		for ponged := false; !ponged; {
			got, err := f.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			ping, ok := got.(*http2.PingFrame)
			ponged = ok && ping.IsAck()
		}
		_ = f.conn.Close()
	}
	// Requests share memory, a dozen at a time, so some go only with the next ones.
	if !settles(func() bool { return freed.Load() > connections-30 }) {
		t.Errorf("of %d connections %d are still there", connections, connections-freed.Load())
	}
}
