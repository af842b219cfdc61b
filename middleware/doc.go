// SPDX-License-Identifier: MIT

// Package middleware has the middleware that most apps want, one file each.
// What has something to configure takes a struct whose zero value works.
//
// # Order
//
// The first middleware given to App.Use is the outermost. This order is
// recommended, and each place has a reason:
//
//		app.Use(
//			middleware.Logger(middleware.LoggerConfig{}),       // 1
//			middleware.RequestID(middleware.RequestIDConfig{}), // 2
//			middleware.Forwarded(policy),                       // 3
//			middleware.Recover(),                               // 4
//		)
//		admin := app.Group("/admin", middleware.SignedCookies(adminKeys)) // 5
//
//	 1. [Logger] only notes that there is a request, and writes the line when the
//	    answer has been made. What stands before it and ends a request early leaves
//	    no line, so nothing does.
//	 2. [RequestID] comes before anything that writes to the log of the request or
//	    calls other services: the id must not change once it was used.
//	 3. [Forwarded] comes before whatever asks for the address of the client, its
//	    scheme or its host: limits by address, secure cookies, redirects to https.
//	 4. [Recover] stands inside the middleware that wants to see a panic as an error
//	    (metrics, transactions) and outside the rest. The app survives a panic
//	    without it.
//	 5. [SignedCookies] belongs on the group whose cookies are to have keys of
//	    their own.
//
// Logger, RequestID and Forwarded belong on the app, where they also see 404, 405
// and redirects. Requests that are no HTTP never get as far as any middleware: the
// server refuses them itself.
//
// [When] puts any middleware under a condition. A [LogWriter] between the log and
// its file turns a thousand small writes into one.
package middleware
