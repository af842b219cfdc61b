// SPDX-License-Identifier: MIT

package server_test

import (
	"fmt"
	"strings"
)

// smugglingPair is a request, or several, of which another reader could make more
// or fewer.
type smugglingPair struct {
	name, octets string
	passes       bool // something of it reaches the server: a check of the test itself
}

// smugglingPairs are built from what can be done to a framing field and from where
// a second request can be hidden.
func smugglingPairs() (all []smugglingPair) {
	const (
		hidden  = "GET /hidden HTTP/1.1\r\nHost: a.test\r\nX-Nonce: hidden\r\n\r\n"
		prefix  = "GET /hidden HTTP/1.1\r\nHost: a.test\r\nX-Nonce: hidden\r\nX-Rest: " // takes in the next one
		noChunk = "0\r\n\r\n"
	)
	add := func(name, octets string) {
		all = append(all, smugglingPair{name: name, octets: octets})
	}
	post := func(path, fields, body string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: a.test\r\nX-Nonce: outer\r\n" + fields + "\r\n" + body
	}
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }

	all = append(all,
		smugglingPair{"control: two requests", post("/one", length(2), "hi") + hidden, true},
		smugglingPair{"control: chunks", post("/one", "Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n") + hidden, true},
		smugglingPair{"control: a hidden body", post("/one", length(len(hidden)), hidden), true})

	for _, coding := range []string{
		"Transfer-Encoding: chunked", "Transfer-Encoding:chunked", "Transfer-Encoding: Chunked", "Transfer-Encoding:\tchunked",
		"Transfer-Encoding: chunked ", "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked",
		"Transfer-Encoding: xchunked", "Transfer-Encoding: chunkedx", "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: chunked\x0c",
		"Transfer-Encoding: \x00chunked", "Transfer-Encoding: chunked\x00", "Transfer-Encoding: \xa0chunked", "Transfer-Encoding:\r\n chunked",
		"Transfer-Encoding: identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: gzip, chunked",
		"Transfer-Encoding: chunked, chunked", "Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked;a=b", "Transfer-Encoding: \"chunked\"",
		"Transfer-Encoding: 'chunked'", "Transfer-Encoding:", "Transfer_Encoding: chunked", "Transfer-Encoding\x00: chunked",
		"Transfer-Encodin\xc7: chunked", "X: y\rTransfer-Encoding: chunked", "X: y\nTransfer-Encoding: chunked", "X: y\r\rTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nTransfer-encoding: identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
		"Transfer_Encoding: x\r\nTransfer-Encoding: chunked", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
		"Foo: bar\r\n\tTransfer-Encoding: chunked", "Transfer-Encoding: chu\tnked", "Transfer-Encoding:chunked\r",
	} {
		name := fmt.Sprintf("%q", coding)
		for _, rest := range []string{hidden, prefix} {
			add("CL.TE "+name, post("/one", length(len(noChunk+rest))+coding+"\r\n", noChunk+rest))
			add("CL.TE, coding first "+name, post("/one", coding+"\r\n"+length(len(noChunk+rest)), noChunk+rest))
		}
		chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
		add("TE.CL "+name, post("/one", length(strings.Index(chunk, "\n")+1)+coding+"\r\n", chunk))
		add("TE.0 "+name, post("/one", coding+"\r\n", noChunk+hidden))
		add("TE in 1.0 "+name, strings.Replace(post("/one", coding+"\r\n"+length(len(noChunk+hidden)), noChunk+hidden), "HTTP/1.1", "HTTP/1.0", 1))
	}

	n := len(hidden)
	for _, fields := range []string{
		"Content-Length: %d", "Content-Length: 0\r\nContent-Length: %d", "Content-Length: %d\r\nContent-Length: 0", "Content-Length: %d\r\nContent-Length: %[1]d",
		"Content-Length: 0, %d", "Content-Length: %d, %[1]d", "Content-Length: +%d", "Content-Length: -%d", "Content-Length: 0x%x",
		"Content-Length: %d.0", "Content-Length: %d ", "Content-Length : %d", "Content-Length\t: %d", " Content-Length: %d", "Content-Length:\r\n %d",
		"Content_Length: %d", "Content-Length: 0\r\nContent_Length: %d", "Content-Length\x00: %d", "Content-Length: %d\x00", "Content-Length: \x0b%d",
		"Content-Length: 0%d", "Content-Length: 1844674407370955%d", "X: y\nContent-Length: %d", "X: y\rContent-Length: %d",
		"Connection: Content-Length\r\nContent-Length: %d", "Connection: close, Content-Length\r\nContent-Length: %d", "Content-Length: %d\r\nExpect: 100-continue",
		"Content-Length: %d\r\nExpect: y 100-continue", "Content-Length: %d\r\nExpect:\r\n 100-continue", "Content-Length: %d\r\nUpgrade: h2c\r\nConnection: Upgrade",
	} {
		for _, method := range []string{"POST", "GET", "HEAD", "OPTIONS", "FOO"} {
			head := strings.Replace(post("/ignore", fmt.Sprintf(fields, n)+"\r\n", ""), "POST", method, 1)
			add(fmt.Sprintf("CL.0 %s %q", method, fields), head+hidden)
		}
		add(fmt.Sprintf("0.CL %q", fields), post("/one", fmt.Sprintf(fields, n)+"\r\n", hidden[:n/2]))
	}

	for _, chunks := range []string{
		"0\n\r\n", "0\r\n\n", "0\n\n", "0\r\r\n\r\n", "0 \r\n\r\n", " 0\r\n\r\n", "0;\r\n\r\n", "0;a\n\r\n", "0;a=\"\r\n\r\n", "0;a\r\r\n\r\n", "00000000000000000000\r\n\r\n",
		"0x0\r\n\r\n", "+0\r\n\r\n", "-0\r\n\r\n", "\r\n0\r\n\r\n", "0_0\r\n\r\n", "10000000000000000\r\n", "ffffffffffffffff\r\n", "2\nhi\r\n0\r\n\r\n", "2\r\nhi\n0\r\n\r\n",
		"2\r\nhi0\r\n\r\n", "2\r\nhi\r\r\n0\r\n\r\n", "2;a\nxx\r\nhi\r\n0\r\n\r\n", "2\r\n\nhi\r\n0\r\n\r\n", "0\r\nX: y\n\r\n", "0\r\nContent-Length: 9\r\n\r\n",
		"0\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\nX: y\r\n \r\n\r\n", "0\r\nX : y\r\n\r\n", "0\r\nGET /hidden HTTP/1.1\r\nX: y\r\n\r\n", "2;\nhi\r\n0\r\n\r\n",
	} {
		add(fmt.Sprintf("chunks %q", chunks), post("/one", "Transfer-Encoding: chunked\r\n", chunks+hidden))
		add(fmt.Sprintf("chunks nobody reads %q", chunks), post("/ignore", "Transfer-Encoding: chunked\r\n", chunks+hidden))
	}

	for _, head := range []string{
		"GET http://b.test/one HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET http://b.test/one HTTP/1.1\r\n\r\n", "GET http://a.test@b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET /one HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", "GET /one HTTP/1.1\r\nHost: a.test\r\n Host: b.test\r\n\r\n", "GET /one HTTP/1.1\r\nHost : a.test\r\n\r\n",
		"GET /one HTTP/1.1\nHost: a.test\n\n", "GET /one HTTP/1.1\r\nHost: a.test\n\r\n", "GET /one HTTP/1.1\rHost: a.test\r\r", "\r\nGET /one HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET /one HTTP/1.1\r\nHost: a.test\r\nX Y: z\r\n\r\n", "GET /one HTTP/1.1\r\nHost: a.test\r\nX_Front_Token: y\r\n\r\n", "GET /one HTTP/1.1\r\nHost: a.test\r\nX-Front-Token: y\r\n\r\n",
		"GET /one HTTP/1.1\r\nHost: a.test\r\nX-Front-Token : y\r\n\r\n", "GET /one HTTP/1.1\r\nHost: a.test\r\n: y\r\n\r\n", "GET /one HTTP/1.1\r\nHost: a.test\r\nX\r\n\r\n",
		"GET /one HTTP/1.1\r\nHost: a.test\r\nX: y\x00z\r\n\r\n", "GET /one HTTP/1.1\r\nHost: a.test\r\nX: y\x01z\r\n\r\n", "GET /one HTTP/1.1\r\nHost: a.test\r\nX: y\x7fz\r\n\r\n",
		"GET /one HTTP/1.1\r\nHost: a.test\r\nX: y\rz: w\r\n\r\n", "GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /a\x00b HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET /a\tHTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /\x80 HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /\"<>^`{|} HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET /a%0d%0aX:%20y HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /a%20HTTP/1.1%0d%0aHost:a HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /one HTTP/1.0\r\n\r\n",
		"GET /one\r\n", "GET /one HTTP/2.0\r\nHost: a.test\r\n\r\n", "GET /one HTTP/1.2\r\nHost: a.test\r\n\r\n", "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET /one HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", "GET /one HTTP/1.1\r\nHost: a.test\r\nConnection: X-Front-Token, X-Front-Id\r\n\r\n",
		"GET /one HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		add(fmt.Sprintf("head %q", head), head+hidden)
	}
	return all
}
