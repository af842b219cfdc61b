// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMain lets the tests' own program be the server process.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == serveFlag {
		beServer(os.Args[2])
	}
	os.Exit(m.Run())
}

func testOptions(t *testing.T, engine string) options {
	return options{engine: engine, time: 2 * time.Second, seed: 1, rate: 200, lanes: 8, warm: time.Second, settle: backTime, log: t.Logf}
}

func TestSoak(t *testing.T) {
	engines, err := checkOptions(options{time: 1, rate: 1, lanes: 1}, "all")
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			r, err := soak(t.Context(), testOptions(t, engine))
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			r.print(&b)
			if !strings.Contains(b.String(), "keep-alive") {
				t.Errorf("the summary is %q", b.String())
			}
		})
	}
}

// TestFaultsAreFound has a server do each thing wrong that a soak looks for.
func TestFaultsAreFound(t *testing.T) {
	found := map[string][]string{
		"cross": {"the answer is for|the upgrade was answered with"},
		"lose":  {"there was no answer|the answer broke off after"},
		"twice": {"a handler was called twice"},
		"leak":  {"goroutines: ", "open descriptors: ", "octets of heap: ", "temporary files: "},
		"race":  {"DATA RACE"},
	}
	for _, fault := range faults {
		t.Run(fault, func(t *testing.T) {
			if fault == "race" && !raceDetector {
				t.Skip("this is not a build with -race")
			}
			t.Parallel()
			o := testOptions(t, "goroutine")
			o.fault = fault
			if fault == "leak" {
				o.settle = 10 * time.Second // it does not
			} else {
				o.time = headerTimeout - time.Second // for the most; no client waits for a time-out of the server
			}
			_, err := soak(t.Context(), o)
			var v *violation
			if !errors.As(err, &v) {
				t.Fatalf("the error is %v", err)
			}
			for _, want := range found[fault] {
				if !regexp.MustCompile(want).MatchString(err.Error()) {
					t.Errorf("the error is %v, not %q", err, want)
				}
			}
		})
	}
}

func TestBooksDisagree(t *testing.T) {
	for _, test := range []struct {
		name   string
		client func(b *book, nonce string)
		server func(l *serverLedger)
		want   string
	}{
		{"well", func(b *book, nonce string) { b.answer(nonce) }, whole, ""},
		{"left", func(b *book, nonce string) { b.leave(nonce, seenPerhaps) }, func(*serverLedger) {}, ""},
		{"open", func(*book, string) {}, whole, "neither answered nor left"},
		{"never seen", func(b *book, nonce string) { b.answer(nonce) }, func(*serverLedger) {}, "no handler has seen it"},
		{"never sent", func(b *book, nonce string) { b.leave(nonce, seenNever) }, whole, "never sent whole"},
		{"left late", func(b *book, nonce string) { b.leave(nonce, seenSurely) }, func(*serverLedger) {}, "being answered"},
		{"not ended", func(b *book, nonce string) { b.answer(nonce) }, func(l *serverLedger) { l.Begun.add(0); l.count("text").Begun++ }, "not ended"},
		{"cut", func(b *book, nonce string) { b.answer(nonce) }, func(l *serverLedger) {
			l.Begun.add(0)
			l.Broken.add(0)
			*l.count("text") = serverCount{1, 0, 1}
		}, "cut the answer off"},
		{"refused", func(b *book, nonce string) { b.refuse(nonce) }, whole, "was not answered"},
		{"nobody's", func(b *book, nonce string) { b.answer(nonce) }, func(l *serverLedger) { whole(l); l.count("other").Begun++ }, "nobody sent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, l := newBook(), &serverLedger{}
			test.client(b, b.send("text", "plain"))
			test.server(l)
			err := b.compare(l)
			if err == nil != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("the books say %v, not %q", err, test.want)
			}
		})
	}
}

// whole is a server that handled the one request.
func whole(l *serverLedger) {
	l.Begun.add(0)
	l.Whole.add(0)
	*l.count("text") = serverCount{1, 1, 0}
}

func TestNonce(t *testing.T) {
	nonce := makeNonce("text", 17)
	if kind, n, ok := parseNonce(nonce); kind != "text" || n != 17 || !ok {
		t.Errorf("parseNonce(%q) = %q, %d, %v", nonce, kind, n, ok)
	}
	for _, bad := range []string{"", "text", "text.17", "text.17.", "text.x.000000", nonce + "0", "x" + nonce, nonce[:len(nonce)-1]} {
		if _, _, ok := parseNonce(bad); ok {
			t.Errorf("parseNonce(%q) takes it", bad)
		}
	}
}

func TestOptions(t *testing.T) {
	good := options{time: time.Second, rate: 1, lanes: 1}
	for _, o := range []options{{}, {time: -1, rate: 1, lanes: 1}, {time: 1, rate: 0, lanes: 1}, {time: 1, rate: 1}, {time: 1, rate: 1, lanes: 1, fault: "x"}} {
		if _, err := checkOptions(o, "all"); err == nil {
			t.Errorf("checkOptions(%+v) takes it", o)
		}
	}
	if _, err := checkOptions(good, "both"); err == nil {
		t.Error("there is no engine both")
	}
	if list, err := checkOptions(good, "goroutine"); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
}

func TestPace(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := newPace(1)
	if err := p.wait(ctx, 100); err != nil {
		t.Error(err)
	}
	cancel()
	if err := p.wait(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Error("after the end:", err)
	}
}
