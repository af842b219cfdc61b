//go:build h2spec

// SPDX-License-Identifier: MIT

package server_test

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

var h2spec = flag.String("h2spec", "h2spec", "the h2spec program")

// TestH2spec holds the server against h2spec, and what it fails against what
// net/http's own server fails. `make h2spec` runs it.
func TestH2spec(t *testing.T) {
	_, _, certFile, keyFile := certificate(t)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, secure := range []bool{true, false} {
		name := map[bool]string{true: "TLS", false: "cleartext"}[secure]
		t.Run(name, func(t *testing.T) {
			std := &http.Server{
				Protocols: &http.Protocols{}, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}},
				Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Hello, World!") }),
			}
			std.Protocols.SetHTTP2(true)
			std.Protocols.SetUnencryptedHTTP2(true)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if secure {
					_ = std.ServeTLS(l, "", "")
				} else {
					_ = std.Serve(l)
				}
			}()
			t.Cleanup(func() { _ = std.Close() })

			s := &server.HTTPServer{HTTP2: server.HTTP2{Cleartext: true}, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				_ = r.SendString(200, text, "Hello, World!")
			})}
			addr := ""
			if secure {
				addr = startTLS(t, s, certFile, keyFile)
			} else {
				addr = start(t, s)
			}
			theirs, theirRaces, all := judge(t, l.Addr().String(), secure)
			mine, myRaces, same := judge(t, addr, secure)
			t.Logf("%d cases\nnet/http fails %d: %q\n         sometimes %d: %q\npleat fails %d: %q\n      sometimes %d: %q",
				all, len(theirs), theirs, len(theirRaces), theirRaces, len(mine), mine, len(myRaces), myRaces)
			if all < 100 || same != all {
				t.Errorf("%d cases were run against net/http, %d against pleat", all, same)
			}
			for _, failed := range mine {
				if !slices.Contains(theirs, failed) {
					t.Errorf("pleat alone fails %s", failed)
				}
			}
		})
	}
}

// judge runs all cases, and those that fail again and again: some depend on which
// of two frames that are on their way is faster. It gives the cases that always
// fail, those that fail at times, and the number of all.
func judge(t *testing.T, addr string, secure bool) (failed, races []string, all int) {
	t.Helper()
	failed, all = specFailures(t, addr, secure)
	for range 4 {
		var sections []string
		for _, c := range failed {
			section, _, _ := strings.Cut(c, ": ")
			sections = append(sections, section)
		}
		if len(sections) == 0 {
			break
		}
		slices.Sort(sections)
		again, _ := specFailures(t, addr, secure, slices.Compact(sections)...)
		failed = slices.DeleteFunc(failed, func(c string) bool {
			passed := !slices.Contains(again, c)
			if passed {
				races = append(races, c)
			}
			return passed
		})
	}
	return failed, races, all
}

// specFailures runs h2spec, or some sections of it, and gives the cases that
// failed, and the number of all.
func specFailures(t *testing.T, addr string, secure bool, sections ...string) (failed []string, all int) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report.xml")
	args := []string{"-h", host, "-p", port, "-o", "2", "-j", report}
	if secure {
		args = append(args, "-t", "-k")
	}
	args = append(args, sections...)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, *h2spec, args...).CombinedOutput() // fails where a case does
	text, readErr := os.ReadFile(report)
	if readErr != nil {
		t.Fatalf("h2spec: %v, %v\n%s", err, readErr, out)
	}
	var suites struct {
		Suites []struct {
			ID    string `xml:"id,attr"`
			Cases []struct {
				Package string    `xml:"package,attr"`
				Name    string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &suites); err != nil {
		t.Fatal(err)
	}
	for _, suite := range suites.Suites {
		for _, c := range suite.Cases {
			all++
			if c.Failure != nil || c.Error != nil {
				failed = append(failed, c.Package+": "+c.Name)
			}
		}
	}
	return failed, all
}
