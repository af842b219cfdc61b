// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// ClientHelper is a call, or a chain of calls, that has not been made yet. Options and further calls are chained onto
// it; Do, Bytes, Text, JSON, Handle, Fetch and Each make the calls.
//
// A call is made once. What came of it stays with the helper, so that a second ending gives the same answers again and
// makes only the calls added since. A helper is for one goroutine; an ending that comes while another is at work gets
// ErrHelperBusy.
type ClientHelper struct { //nolint:revive // the name is that of Pants
	client *HTTPClient
	first  call
	more   []*call
	last   *call
	busy   atomic.Bool
}

// With adds options to the last call of the chain. A call already made is not affected.
func (h *ClientHelper) With(opts ...CallOption) *ClientHelper {
	if !h.last.made {
		h.last.apply(opts)
	}
	return h
}

// Call chains a further call onto the helper.
func (h *ClientHelper) Call(method, url string, opts ...CallOption) *ClientHelper {
	k := &call{}
	k.set(method, url, opts)
	h.more = append(h.more, k)
	h.last = k
	return h
}

// Get chains a further GET.
func (h *ClientHelper) Get(url string, opts ...CallOption) *ClientHelper {
	return h.Call(http.MethodGet, url, opts...)
}

// Head chains a further HEAD.
func (h *ClientHelper) Head(url string, opts ...CallOption) *ClientHelper {
	return h.Call(http.MethodHead, url, opts...)
}

// Post chains a further POST.
func (h *ClientHelper) Post(url string, opts ...CallOption) *ClientHelper {
	return h.Call(http.MethodPost, url, opts...)
}

// Put chains a further PUT.
func (h *ClientHelper) Put(url string, opts ...CallOption) *ClientHelper {
	return h.Call(http.MethodPut, url, opts...)
}

// Patch chains a further PATCH.
func (h *ClientHelper) Patch(url string, opts ...CallOption) *ClientHelper {
	return h.Call(http.MethodPatch, url, opts...)
}

// Delete chains a further DELETE.
func (h *ClientHelper) Delete(url string, opts ...CallOption) *ClientHelper {
	return h.Call(http.MethodDelete, url, opts...)
}

// Options chains a further OPTIONS.
func (h *ClientHelper) Options(url string, opts ...CallOption) *ClientHelper {
	return h.Call(http.MethodOptions, url, opts...)
}

// Do makes the calls one after the other and returns the response of the last, its body not read yet: Close it, or read
// it to the end. The bodies of earlier calls are read. The first error ends the chain; calls after it are not made.
// A status is not an error, whatever it is.
//
// When a redirect is not followed, the response that asked for it comes with the error, its body closed.
func (h *ClientHelper) Do() (*HTTPResponse, error) {
	if !h.busy.CompareAndSwap(false, true) {
		return nil, h.busyError()
	}
	defer h.busy.Store(false)
	for k := range h.calls() {
		if !k.made {
			h.make(k.context(h.client), k, k != h.last)
		}
		if k.failure != nil || k == h.last {
			return k.resp, k.failure
		}
	}
	return nil, nil // unreachable: last is one of the calls
}

// Bytes is Do and reading the body whole. An answer outside 200 to 299 is a *StatusError.
func (h *ClientHelper) Bytes() ([]byte, error) {
	r, err := h.whole()
	if err != nil {
		return nil, err
	}
	return r.Bytes()
}

// Text is Do and reading the body as text. An answer outside 200 to 299 is a *StatusError.
func (h *ClientHelper) Text() (string, error) {
	r, err := h.whole()
	if err != nil {
		return "", err
	}
	return r.Text()
}

// JSON is Do and decoding the body into what into points to. An answer outside 200 to 299 is a *StatusError, and into is
// left as it was.
func (h *ClientHelper) JSON(into any) error {
	r, err := h.whole()
	if err != nil {
		return err
	}
	return r.JSON(into)
}

// whole is Do for the endings that hand out the body only.
func (h *ClientHelper) whole() (*HTTPResponse, error) {
	r, err := h.Do()
	if err != nil {
		return nil, err
	}
	_, err = r.Bytes()
	if !r.OK() {
		return nil, r.wrap(PhaseExchange, &StatusError{Response: r})
	}
	return r, err
}

// Handle makes the calls that have not been made, as Fetch does, and gives the answers to fn, in the order of the calls
// and never two at a time. It replaces the client's ResponseHandler for them. With a single call the body is still to be
// read; what fn leaves of it is closed. A panic in fn becomes the error of the call, which Do and Fetch return.
func (h *ClientHelper) Handle(fn func(*HTTPResponse, error)) *ClientHelper {
	if fn == nil {
		h.last.fail(fmt.Errorf("%w: nil handler", ErrOption))
		return h
	}
	if !h.busy.CompareAndSwap(false, true) {
		fn(nil, h.busyError())
		return h
	}
	defer h.busy.Store(false)
	var fresh []*call
	for k := range h.calls() {
		if !k.made {
			k.handler = ignore // fn takes its place, in order
			fresh = append(fresh, k)
		}
	}
	if len(fresh) == 1 {
		h.make(fresh[0].context(h.client), fresh[0], false)
	} else {
		h.runAll(fresh)
	}
	for _, k := range fresh {
		k.handler = fn
		h.hand(k, fn)
		if k.resp != nil {
			k.resp.Close()
		}
	}
	return h
}

func ignore(*HTTPResponse, error) {}

// Fetch makes the calls, at most HTTPClient.Concurrency at once, reads their bodies and returns the responses in the
// order of the calls. The error joins those of all calls that failed; their place in the slice is nil, or the response
// that a redirect error comes with.
func (h *ClientHelper) Fetch() ([]*HTTPResponse, error) {
	var responses []*HTTPResponse
	var failures []error
	if !h.busy.CompareAndSwap(false, true) {
		return nil, h.busyError()
	}
	defer h.busy.Store(false)
	h.runAll(h.unmade())
	for k := range h.calls() {
		if k.failure == nil {
			if _, err := k.resp.Bytes(); err != nil { // of a call that Do made
				k.failure = err
			}
		}
		responses = append(responses, k.resp)
		failures = append(failures, k.failure)
	}
	return responses, errors.Join(failures...)
}

// Each makes the calls as Fetch does and yields the answers as they arrive; those of calls made before come first. When
// the loop is left early, what is still under way is cancelled, and calls not begun are not made.
func (h *ClientHelper) Each() iter.Seq2[*HTTPResponse, error] {
	return func(yield func(*HTTPResponse, error) bool) {
		if !h.busy.CompareAndSwap(false, true) {
			yield(nil, h.busyError())
			return
		}
		defer h.busy.Store(false)
		unmade := h.unmade()
		for k := range h.calls() {
			if k.made && !yield(k.resp, k.failure) {
				return
			}
		}
		for k := range h.run(unmade) {
			if !yield(k.resp, k.failure) {
				return
			}
		}
	}
}

func (h *ClientHelper) unmade() []*call {
	var unmade []*call
	for k := range h.calls() {
		if !k.made {
			unmade = append(unmade, k)
		}
	}
	return unmade
}

// calls yields the chain in order.
func (h *ClientHelper) calls() iter.Seq[*call] {
	return func(yield func(*call) bool) {
		if !yield(&h.first) {
			return
		}
		for _, k := range h.more {
			if !yield(k) {
				return
			}
		}
	}
}

// run makes calls, a bounded number at once, and yields each when it is done. It returns when the last of its goroutines
// has ended.
func (h *ClientHelper) run(calls []*call) iter.Seq[*call] {
	return func(yield func(*call) bool) {
		running, stop := context.WithCancel(context.Background())
		next, done := make(chan *call), make(chan *call)
		var workers sync.WaitGroup
		for range min(h.client.settings().Concurrency, len(calls)) {
			workers.Go(func() {
				for k := range next {
					if running.Err() == nil { // of two that are ready, select takes any
						h.makeWhile(running, k)
					}
					done <- k
				}
			})
		}
		go func() {
			defer close(done)
			defer workers.Wait()
			defer close(next)
			for _, k := range calls {
				select {
				case next <- k:
				case <-running.Done():
					return
				}
			}
		}()
		defer func() { // deferred, for yield may not return
			stop()
			for range done { // waits for the goroutines
			}
		}()
		for k := range done {
			if !yield(k) {
				return
			}
		}
	}
}

// runAll is run for those who find the results with the calls.
func (h *ClientHelper) runAll(calls []*call) {
	for range h.run(calls) { // run does the work
	}
}

// makeWhile makes k under its own context, as long as running lasts.
func (h *ClientHelper) makeWhile(running context.Context, k *call) {
	ctx, cancel := context.WithCancel(k.context(h.client))
	defer cancel()
	defer context.AfterFunc(running, cancel)()
	h.make(ctx, k, true)
}

// make makes one call under ctx, reads its body if asked to, and calls its handler.
func (h *ClientHelper) make(ctx context.Context, k *call, read bool) {
	k.made = true
	k.resp, k.failure = h.client.perform(ctx, k)
	if read && k.failure == nil {
		if _, err := k.resp.Bytes(); err != nil {
			k.resp, k.failure = nil, err
		}
	}
	handler := k.handler
	if handler == nil {
		handler = h.client.settings().ResponseHandler
	}
	if handler != nil {
		h.hand(k, handler)
	}
}

// hand gives an answer to a handler. A panic there becomes the call's error, besides the one it may have had.
func (h *ClientHelper) hand(k *call, handler func(*HTTPResponse, error)) {
	err := guarded(func() error { handler(k.resp, k.failure); return nil })
	if err == nil {
		return
	}
	if k.resp != nil {
		k.resp.Close()
	}
	e := &Error{Op: k.method, Phase: PhaseHandler, Err: err}
	if k.resp != nil {
		e = k.resp.wrap(PhaseHandler, err)
	}
	if k.failure != nil {
		e.Err = errors.Join(err, k.failure)
	}
	k.resp, k.failure = nil, e
}

// guarded runs fn and turns a panic into a *PanicError.
func guarded(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return fn()
}

func (h *ClientHelper) busyError() error {
	return &Error{Op: h.last.method, Phase: PhaseRequest, Err: ErrHelperBusy}
}
