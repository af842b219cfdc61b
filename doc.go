// SPDX-License-Identifier: MIT

// Package pleat is a middleware-oriented web microframework: a server core of
// its own, a router, a chain of middleware folded around every handler, signed
// cookies, and an outbound client on the request context.
//
//	logger := zerolog.New(os.Stderr)
//	app := pleat.New(pleat.Config{Logger: &logger})
//	app.Use(middleware.Logger(middleware.LoggerConfig{}), middleware.Recover())
//	app.GET("/hello/:name", func(c *pleat.Context) error {
//		return c.Text(200, "Hello, "+c.Param("name")+"!\n")
//	})
//	err := app.Run("127.0.0.1:8080")
//
// # Handlers and middleware
//
// A [Handler] answers or returns an error. A [Middleware] wraps a handler in
// another. Chains are composed once, when the app starts. Middleware given to
// [App.Use] runs for every answer the app gives, also for 404, 405 and
// redirects; middleware of a group or a route only for what is matched there.
//
// # Answers and errors
//
// What a handler answers is buffered: nothing is sent before the handler
// returns, flushes, or has written 16 KiB. So an error returned half-way still
// becomes a clean error answer. It is made in one place, once, as the client
// accepts it: problem details (RFC 9457), an HTML page, or text. What an
// [HTTPError] says in Message is for the client; its Cause goes to the log.
//
// # Lifetimes
//
// A [Context] and everything read from it belong to one request for ever: they
// are never reused, and a goroutine may keep them. After the handler returned,
// answering fails with server.ErrRequestDone, and the context is cancelled with
// that cause. A Context is a context.Context: pass it to whatever should stop
// when the client goes away. A middleware that has less time, or more values, for
// the rest of its chain goes on with [Context.WithContext].
package pleat
