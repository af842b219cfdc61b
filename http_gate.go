// SPDX-License-Identifier: MIT

package pleat

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/pleat-go/pleat/server"
)

// gate stands before a ResponseWriter of net/http. Once it is shut nothing gets
// through any more.
type gate struct {
	http.ResponseWriter
	shut atomic.Bool
}

func (g *gate) Header() http.Header {
	if g.shut.Load() {
		return http.Header{}
	}
	return g.ResponseWriter.Header()
}

func (g *gate) WriteHeader(status int) {
	if !g.shut.Load() {
		g.ResponseWriter.WriteHeader(status)
	}
}

func (g *gate) Write(p []byte) (int, error) {
	if g.shut.Load() {
		return len(p), nil
	}
	return g.ResponseWriter.Write(p)
}

// ReadFrom lets net/http use sendfile.
func (g *gate) ReadFrom(src io.Reader) (int64, error) {
	if to, ok := g.ResponseWriter.(io.ReaderFrom); ok && !g.shut.Load() {
		return to.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{g}, src)
}

// Unwrap is for http.ResponseController: flushing, hijacking, deadlines.
func (g *gate) Unwrap() http.ResponseWriter { return g.ResponseWriter }

// fromHTTP is server.FromHTTP behind a gate, for a writer that others may have
// set fields in: fields added now join theirs.
func fromHTTP(w http.ResponseWriter, q *http.Request) (*server.HTTPRequest, *gate, func()) {
	g := &gate{ResponseWriter: w}
	r, finish := server.FromHTTP(g, q)
	for name, values := range w.Header() {
		switch name {
		case "Content-Length", "Content-Type", "Connection", "Date", "Trailer", "Transfer-Encoding":
			continue // one's own answer has its own
		}
		if r.ResponseHeader(name) != "" {
			continue
		}
		for _, v := range values {
			_ = r.AddHeader(name, v) // what cannot be sent stays with net/http, which leaves it out
		}
	}
	return r, g, finish
}
