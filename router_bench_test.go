// SPDX-License-Identifier: MIT

package pleat

import (
	"fmt"
	"testing"
)

func BenchmarkResolve(b *testing.B) {
	table := tableOf(b, exampleRoutes...)
	for _, bb := range []struct{ name, method, path string }{
		{"static", "GET", "/users/me"},
		{"static-head", "HEAD", "/users/me"},
		{"param", "GET", "/users/7"},
		{"param-second-layer", "GET", "/users/7/posts"},
		{"two-params", "GET", "/users/7/posts/9"},
		{"five-params", "GET", "/a/1/b/2/c/3/d/4/e/5"},
		{"catch-all-last-layer", "GET", "/zzz/y"},
		{"escaped", "GET", "/users/a%2Fb"},
		{"slash-redirect", "GET", "/a/1/b/2/c/3/d/4/e/5/"},
		{"clean-redirect", "GET", "//users/7"},
		{"method-not-allowed", "POST", "/users/7"},
		{"bad", "GET", "/users/%"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.resolve(bb.method, bb.path, "")
			}
		})
	}
}

func BenchmarkCanonicalPath(b *testing.B) {
	for _, bb := range []struct{ name, path string }{
		{"canonical", "/users/7/posts/a-b_c.d~e/comments"},
		{"escaped", "/users/7/posts/%c3%a9/comments"},
		{"unclean", "/users/7/../posts//a/"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.path)))
			for b.Loop() {
				canonicalPath(bb.path)
			}
		})
	}
}

// BenchmarkBuild is what a start costs.
func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{100, 1000} {
		var r Router
		for i := range n / 5 {
			g := r.Group(fmt.Sprintf("/resource%d", i))
			g.GET("", nothing)
			g.POST("", nothing)
			g.GET("/:id", nothing)
			g.GET("/new", nothing)
			g.GET("/:parent/children/:id", nothing)
		}
		b.Run(fmt.Sprintf("%d-routes", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := r.build(routeOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
