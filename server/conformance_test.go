// SPDX-License-Identifier: MIT

package server_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pleat-go/pleat/internal/conformance"
	"github.com/pleat-go/pleat/server"
)

// conformanceCases are the conversations in testdata/conformance.
func conformanceCases(t testing.TB) []conformance.Case {
	t.Helper()
	cases, err := conformance.Load(os.DirFS("testdata/conformance"))
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// contract answers as docs/conformance.md says.
func contract(r *server.HTTPRequest) {
	get := r.Method() == "GET" || r.Method() == "HEAD"
	post := r.Method() == "POST"
	switch path := r.Path(); {
	case path == "/ok" && get:
		_ = r.SendString(200, text, "ok")
	case path == "/echo" && post:
		body, err := r.Body()
		if err != nil {
			_ = r.SendError(err)
			return
		}
		_ = r.SendResponse(200, r.Header().Get("Content-Type"), body)
	case path == "/len" && (get || post):
		n, err := io.Copy(io.Discard, r.BodyReader())
		if err != nil {
			_ = r.SendError(err)
			return
		}
		_ = r.SendString(200, text, strconv.FormatInt(n, 10))
	case path == "/204" && get:
		_ = r.SetStatus(204)
	case path == "/304" && get:
		_ = r.SetStatus(304)
	case path == "/stream" && get:
		for _, part := range []string{"aaa", "bbb", "ccc"} {
			_, _ = r.WriteString(part)
			_ = r.Flush()
		}
	default:
		_ = r.SendString(404, text, "not found\n")
	}
}

func playCase(t *testing.T, addr string, c *conformance.Case, pieces func() int) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	err = c.Play(conn, pieces)
	if pieces != nil && errors.Is(err, conformance.ErrEnd) && errors.Is(err, syscall.ECONNRESET) {
		return // all answers have come; what was still being sent then met a closed socket
	}
	if err != nil {
		t.Error(err)
	}
}

func caseName(c *conformance.Case) string {
	return strings.ReplaceAll(c.Section, " ", "_") + "/" + c.Name
}

// TestConformance plays the whole corpus.
func TestConformance(t *testing.T) {
	addr := startFunc(t, contract)
	for _, c := range conformanceCases(t) {
		t.Run(caseName(&c), func(t *testing.T) { playCase(t, addr, &c, nil) })
	}
}

// TestConformanceSplit plays a sample of it with writes that end anywhere; the
// whole of it is cut in TestSplitAnywhere.
func TestConformanceSplit(t *testing.T) {
	addr := startFunc(t, contract)
	rnd := rand.New(rand.NewPCG(7, 8))
	for i, c := range conformanceCases(t) {
		if i%4 == 0 && len(c.Sent()) < 1000 {
			t.Run(caseName(&c), func(t *testing.T) {
				playCase(t, addr, &c, func() int { return 1 })
				playCase(t, addr, &c, func() int { return 1 + rnd.IntN(40) })
			})
		}
	}
}
