// SPDX-License-Identifier: MIT

package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// HTTPSRedirect is a [Handler] for plain HTTP that sends clients to the same path
// and query with https. Where to is said by its fields; what the client says in
// Host only chooses among them. The zero value refuses everybody.
//
//	app.Beside(&server.HTTPServer{Handler: &server.HTTPSRedirect{Hosts: []string{"example.com", "www.example.com"}}}, ":80")
//
// has an App serve it; without one, it is the Handler of an HTTPServer as any other.
//
// GET and HEAD are answered with 301, other methods with 308, which keeps method
// and body. Bear in mind that the first request went over the wire for all to
// read: tell browsers by Strict-Transport-Security not to ask again.
type HTTPSRedirect struct {
	// Hosts are the names that are redirected to themselves, without ports. Case
	// does not matter, nor does a dot at the end of what the client asks for.
	Hosts []string
	// Host is where all others are sent, a name or an address without a port. If it
	// is empty, they get 421 (Misdirected Request).
	Host string
	// Port is that of the https server, 443 if 0.
	Port uint16
}

// ServeRequest answers r with a redirect.
func (h *HTTPSRedirect) ServeRequest(r *HTTPRequest) {
	const text = "text/plain; charset=utf-8"
	host, asked, path := h.Host, strings.TrimSuffix(r.Hostname(), "."), r.Path()
	if slices.ContainsFunc(h.Hosts, func(known string) bool { return strings.EqualFold(known, asked) }) {
		host = asked
	}
	switch {
	case host == "":
		_ = r.SendString(http.StatusMisdirectedRequest, text, "421 Misdirected Request: this host is not known here.\n")
		return
	case r.Method() == http.MethodConnect:
		_ = r.SendString(http.StatusNotImplemented, text, "501 Not Implemented: there is no CONNECT here.\n")
		return
	case !strings.HasPrefix(path, "/"): // "OPTIONS *"
		path = "/"
	}
	if strings.IndexByte(host, ':') >= 0 && host[0] != '[' {
		host = "[" + host + "]"
	}
	if h.Port != 0 && h.Port != 443 {
		host += ":" + strconv.Itoa(int(h.Port))
	}
	location := "https://" + host + path
	if query := r.RawQuery(); query != "" {
		location += "?" + query
	}
	status := http.StatusPermanentRedirect
	if r.Method() == http.MethodGet || r.Method() == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	if err := r.SetHeader("Location", location); err != nil { // a Host that is no name
		_ = r.SendError(err)
		return
	}
	_ = r.SendString(status, text, "This site is served over https: "+location+"\n")
}
