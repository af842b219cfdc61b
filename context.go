// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/server"
)

// Context is one request on its way through the app: what was asked, what is
// being answered, and what middleware and handlers tell each other. It is a
// context.Context: it ends when the client goes away, when the server is done
// waiting, or when the handler has returned; context.Cause tells which
// (server.ErrClientGone, server.ErrServerDraining, server.ErrRequestDone).
//
// A Context is never reused. Reading methods and values are safe for concurrent
// use; so are answering calls, though it takes some care to make sense of
// answers from several goroutines.
type Context struct {
	app       *App
	req       *server.HTTPRequest
	route     *Route
	params    httprouter.Params
	path      string      // canonical, escaped
	unmatched *resolution // why there is no route
	derived   *derivation // nil for the one that the app made for the request
	abort     atomic.Bool // of the first: the connection is to be cut
	extra     atomic.Pointer[contextExtra]
}

// derivation is what a Context made by WithContext has of its own.
type derivation struct {
	ctx   context.Context // what the Context speaks for; nil means that of the request
	first *Context        // the one that the app made for the request
}

// contextExtra holds what simple requests never ask for.
type contextExtra struct {
	mu     sync.Mutex
	client *client.HTTPClient // guarded by mu

	// Of the first Context, guarded by its mu.
	id        string
	values    []value
	finishers []func(*Context)
	err       error // what the chain returned
	body      *readBody
	onPage    bool // a page of OnStatus is making the answer

	// Where values and finishers begin: what a usual chain of middleware has
	// needs no allocation of its own.
	firstValues    [2]value
	firstFinishers [1]func(*Context)
}

// extras returns the rarely used part of c, made on first use.
func (c *Context) extras() *contextExtra {
	if e := c.extra.Load(); e != nil {
		return e
	}
	e := &contextExtra{}
	e.values, e.finishers = e.firstValues[:0], e.firstFinishers[:0]
	if c.extra.CompareAndSwap(nil, e) {
		return e
	}
	return c.extra.Load()
}

var _ context.Context = (*Context)(nil)

// contextSlab hands out contexts carved from one allocation, like the requests
// they belong to.
type contextSlab struct{ contexts []Context }

// slabSize contexts fill one of the allocator's size classes.
const slabSize = 21

var contextSlabs = sync.Pool{New: func() any { return new(contextSlab) }}

// allocContext returns a zero context that is never handed out again.
func allocContext() *Context {
	s := contextSlabs.Get().(*contextSlab)
	if len(s.contexts) == 0 {
		s.contexts = make([]Context, slabSize)
	}
	c := &s.contexts[0]
	s.contexts = s.contexts[1:]
	contextSlabs.Put(s)
	return c
}

// shared is the Context that keeps what all Contexts of a request have in common.
func (c *Context) shared() *Context {
	if c.derived != nil {
		return c.derived.first
	}
	return c
}

// derive returns a Context for the same request that shares all that is shared and
// speaks for the context of the request.
func (c *Context) derive() *Context {
	return &Context{
		app: c.app, req: c.req, route: c.route, params: c.params, path: c.path, unmatched: c.unmatched,
		derived: &derivation{first: c.shared()},
	}
}

// App is the app that serves the request.
func (c *Context) App() *App { return c.app }

// Request is the request with all that package server knows about it.
func (c *Context) Request() *server.HTTPRequest { return c.req }

// Route is the route that matched, nil for 404, 405 and redirects.
func (c *Context) Route() *Route { return c.route }

// Failure is the error that the chain returned, nil until it has returned and
// when it succeeded. It is for functions given to OnFinish.
func (c *Context) Failure() error {
	e := c.shared().extra.Load()
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// Aborted reports whether the connection was cut, or is going to be, so that the
// client does not get a whole answer: because an error came after part of the
// answer had been sent, or with http.ErrAbortHandler, or because the handler ended
// its goroutine. A connection that was taken over is not. It is for functions given
// to OnFinish; nothing is known before the chain has returned.
func (c *Context) Aborted() bool {
	c = c.shared()
	return c.abort.Load() && !c.req.Hijacked()
}

func (c *Context) setFailure(err error) {
	e := c.extras()
	e.mu.Lock()
	e.err = err
	e.mu.Unlock()
}

// OnFinish has f called when the answer has been made, error answers included,
// whatever the chain did: last registered first. The status is final then. It is
// meant for logs and metrics. A panic in f is logged.
func (c *Context) OnFinish(f func(*Context)) {
	e := c.shared().extras()
	e.mu.Lock()
	e.finishers = append(e.finishers, f)
	e.mu.Unlock()
}

func (c *Context) runFinishers() {
	e := c.extra.Load()
	if e == nil {
		return
	}
	for {
		e.mu.Lock()
		n := len(e.finishers)
		if n == 0 {
			e.mu.Unlock()
			return
		}
		f := e.finishers[n-1]
		e.finishers = e.finishers[:n-1]
		e.mu.Unlock()
		if err := c.guard(func(c *Context) error { f(c); return nil }); err != nil && !errors.Is(err, http.ErrAbortHandler) {
			c.logPanic(err, "pleat: a function given to OnFinish failed")
		}
	}
}

// ---- context.Context

// WithContext returns a Context for the rest of the chain that speaks for ctx:
// its deadline, its cancellation, its values. ctx is derived from c, or else the
// rest of the chain will not notice the end of the request. All that is not ctx's
// is shared with c: request, answer, typed values, id. A middleware that bounds
// time:
//
//	ctx, cancel := context.WithTimeout(c, time.Second)
//	defer cancel()
//	return next(c.WithContext(ctx))
func (c *Context) WithContext(ctx context.Context) *Context {
	if ctx == nil {
		panic("pleat: nil context")
	}
	d := c.derive()
	d.derived.ctx = ctx
	return d
}

// inner is the context that c speaks for.
func (c *Context) inner() context.Context {
	if c.derived != nil && c.derived.ctx != nil {
		return c.derived.ctx
	}
	return c.req.Context()
}

// Deadline is when the context ends by itself, if it does.
func (c *Context) Deadline() (time.Time, bool) { return c.inner().Deadline() }

// Done is closed when the context ends. The first call sets a watch on the
// client; a handler that never asks pays nothing for it.
func (c *Context) Done() <-chan struct{} { return c.inner().Done() }

// Err is nil until the context ends.
func (c *Context) Err() error { return c.inner().Err() }

// Value looks key up among the values set with a [Key], and then in the request's
// context.
func (c *Context) Value(key any) any {
	if key == (contextKey{}) {
		return c
	}
	if v, ok := c.shared().lookup(key); ok {
		return v
	}
	return c.inner().Value(key)
}

type contextKey struct{}

// FromContext is the Context that ctx was derived from, nil when there is none.
// It gives handlers and middleware written for net/http the way back.
func FromContext(ctx context.Context) *Context {
	c, _ := ctx.Value(contextKey{}).(*Context)
	return c
}

// ---- typed values

type value struct {
	key   any
	value any
}

// Key names a value of type T that middleware and handlers share on a Context.
// Two keys are never the same, whatever their names.
type Key[T any] struct{ name string }

// NewKey makes a key; the name is for people. Keep it in a package variable.
func NewKey[T any](name string) *Key[T] { return &Key[T]{name} }

// String is the name of the key.
func (k *Key[T]) String() string { return k.name }

// Set keeps v on c under the key, replacing what was there.
func (k *Key[T]) Set(c *Context, v T) {
	e := c.shared().extras()
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.values {
		if e.values[i].key == any(k) {
			e.values[i].value = v
			return
		}
	}
	e.values = append(e.values, value{k, v})
}

// Get is the value under the key; false when none was set.
func (k *Key[T]) Get(c *Context) (v T, ok bool) {
	found, ok := c.shared().lookup(k)
	v, _ = found.(T) // a nil of an interface type is no T
	return v, ok
}

func (c *Context) lookup(key any) (any, bool) {
	e := c.extra.Load()
	if e == nil {
		return nil, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.values {
		if e.values[i].key == key {
			return e.values[i].value, true
		}
	}
	return nil, false
}
