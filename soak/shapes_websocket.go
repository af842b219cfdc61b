// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// webSocket sends messages, and gets them back.
func webSocket(v *visit) error {
	v.shape = "websocket"
	l, err := v.openPaced()
	if l == nil {
		return err
	}
	defer l.close()
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	_ = l.conn.SetDeadline(time.Time{})
	nonce := v.load.book.send(v.shape, l.wayName)
	conn, err := upgrade(ctx, v, l, nonce)
	if conn == nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	err = v.talk(ctx, conn, nonce)
	var closed websocket.CloseError
	switch {
	case errors.As(err, &closed) && closed.Code == websocket.StatusGoingAway && v.load.ending.Load():
		v.load.book.answer(nonce)
		return errOver
	case err != nil:
		return wrong(nonce, l.wayName, "%v", err)
	case v.rng.IntN(4) == 0:
		v.leave(l)
		v.load.book.leave(nonce, seenSurely)
		return nil
	}
	if err := sayGoodbye(ctx, l, conn); err != nil {
		// Both may have closed at the same time, which is a closing handshake, too.
		if !v.load.ending.Load() {
			return wrong(nonce, l.wayName, "closing: %v", err)
		}
	}
	v.load.book.answer(nonce)
	return nil
}

// sayGoodbye holds the closing handshake, with as much time for the server as for all
// else: conn.Close would take 5 s for the most.
func sayGoodbye(ctx context.Context, l *link, conn *websocket.Conn) error {
	if _, err := l.conn.Write([]byte("\x88\x82\x00\x00\x00\x00\x03\xe8")); err != nil { // 1000, masked
		return err
	}
	_, _, err := conn.Read(ctx)
	if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
		return nil
	}
	return fmt.Errorf("there came %w", errOrNone(err))
}

// upgrade makes a link a WebSocket; nil without one.
func upgrade(ctx context.Context, v *visit, l *link, nonce string) (*websocket.Conn, error) {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return l.conn, nil }}
	defer transport.CloseIdleConnections()
	conn, r, err := websocket.Dial(ctx, "ws://"+serverName+"/websocket", &websocket.DialOptions{ //nolint:bodyclose // the library's business
		HTTPClient: &http.Client{Transport: transport},
		HTTPHeader: http.Header{nonceHeader: {nonce}},
	})
	switch {
	case err != nil && r == nil:
		return nil, v.refusal(nonce, l.wayName, fmt.Errorf("%w: %w", errRefused, err))
	case r.Header.Get(nonceHeader) != nonce || r.Header.Get("Peer") != l.claimed:
		return conn, wrong(nonce, l.wayName, "the upgrade was answered with %v", r.Header)
	case err != nil && r.StatusCode == http.StatusServiceUnavailable && v.load.ending.Load():
		v.load.book.answer(nonce)
		return nil, errOver
	case err != nil:
		return nil, wrong(nonce, l.wayName, "%v", err)
	}
	conn.SetReadLimit(1 << 20)
	return conn, nil
}

// talk sends some messages, one or two at a time, and wants them back.
func (v *visit) talk(ctx context.Context, conn *websocket.Conn, nonce string) error {
	want := [][]byte{[]byte(nonce)}
	all := content(nonce)
	for rounds := v.rng.IntN(15); ; rounds-- {
		for _, w := range want {
			if _, got, err := conn.Read(ctx); err != nil || !bytes.Equal(got, w) {
				return fmt.Errorf("a message of %d octets, %.60q, %w, not %d, %.60q", len(got), got, errOrNone(err), len(w), w)
			}
		}
		if rounds == 0 {
			return nil
		}
		want = nil
		for range 1 + v.rng.IntN(2) {
			message := make([]byte, min(v.size(), 60_000))
			_, _ = all.Read(message)
			message = append([]byte(nonce+" "), message...)
			kind := websocket.MessageBinary
			if err := conn.Write(ctx, kind, message); err != nil {
				// The reason is what the server said last, behind what it gave back.
				var readErr error
				for readErr == nil {
					_, _, readErr = conn.Read(ctx)
				}
				return fmt.Errorf("%w, %w", err, readErr)
			}
			want = append(want, message)
		}
		time.Sleep(time.Duration(v.rng.IntN(50)) * time.Millisecond)
	}
}

var errNone = errors.New("no error")

func errOrNone(err error) error {
	if err == nil {
		return errNone
	}
	return err
}
