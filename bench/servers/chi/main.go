// SPDX-License-Identifier: MIT

// Command chi is the benchmark server on chi, with chi's own middleware.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/bench/contract"
)

func main() { contract.Main("chi", contract.SampleCookie, serve) }

func serve(o contract.Options) error {
	s := &site{log: o.Logger(), sessions: contract.NewSessions(), upstream: contract.NewUpstream(o.Upstream), file: o.File}
	r := chi.NewRouter()
	r.Get("/hello", func(w http.ResponseWriter, _ *http.Request) { writeText(w, contract.Hello) })
	r.Get("/json", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, contract.Message{Message: contract.Hello})
	})
	r.Get("/slow", slow)
	r.Get("/upstream", s.relay)
	r.Get("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, s.file) })
	r.Get("/ok", ok)
	r.Head("/ok", ok)
	r.Group(func(r chi.Router) {
		r.Use(middleware.RequestSize(contract.MaxBody))
		r.Post("/echo", echo)
		r.Get("/len", length)
		r.Post("/len", length)
	})
	r.Route("/app", func(r chi.Router) {
		r.Use(
			middleware.RequestID,
			middleware.ClientIPFromXFF(contract.TrustedProxy),
			s.accessLog,
			middleware.Recoverer,
		)
		r.Get("/users/{id}", s.profile)
		r.With(middleware.RequestSize(contract.MaxBody), middleware.AllowContentType("application/json")).Post("/users", s.addUser)
	})
	return contract.ServeHTTP(o, "chi", r)
}

type site struct {
	log      zerolog.Logger
	sessions *contract.Sessions
	users    contract.Users
	upstream *contract.Upstream
	file     string
}

// accessLog is built like chi's own Logger, with zerolog for the lines. It also
// sends the request id back, which chi's RequestID leaves to others.
func (s *site) accessLog(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := middleware.GetReqID(r.Context())
		w.Header().Set(middleware.RequestIDHeader, id)
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			contract.LogRequest(&s.log, &contract.Access{
				Method: r.Method, Path: r.URL.Path, Route: chi.RouteContext(r.Context()).RoutePattern(),
				Status: ww.Status(), Bytes: int64(ww.BytesWritten()),
				Start: start, Remote: clientOf(r), RequestID: id,
			})
		}()
		next.ServeHTTP(ww, r)
	})
}

func (s *site) profile(w http.ResponseWriter, r *http.Request) {
	var session contract.Session
	if cookie, err := r.Cookie(contract.SessionCookie); err == nil {
		session = s.sessions.Read(cookie.Value)
	}
	writeJSON(w, http.StatusOK, contract.Profile{ID: chi.URLParam(r, "id"), User: session.User, Client: clientOf(r)})
}

// clientOf is the address of the client. ClientIPFromXFF finds none where no proxy
// was.
func clientOf(r *http.Request) string {
	if ip := middleware.GetClientIP(r.Context()); ip != "" {
		return ip
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

func (s *site) addUser(w http.ResponseWriter, r *http.Request) {
	var u contract.NewUser
	if err := json.NewDecoder(r.Body).Decode(&u); err != nil {
		writeJSON(w, statusOf(err), contract.Failure{Error: err.Error()})
		return
	}
	if err := u.Check(); err != nil {
		writeJSON(w, http.StatusUnprocessableEntity, contract.Failure{Error: err.Error()})
		return
	}
	writeJSON(w, http.StatusCreated, s.users.Add(u))
}

func (s *site) relay(w http.ResponseWriter, r *http.Request) {
	m, err := s.upstream.Get(r.Context())
	if err != nil {
		http.Error(w, "bad gateway", http.StatusBadGateway)
		return
	}
	writeJSON(w, http.StatusOK, m)
}

func ok(w http.ResponseWriter, _ *http.Request) { writeText(w, "ok") }

func slow(w http.ResponseWriter, r *http.Request) {
	pause, err := contract.Pause(r.URL.Query().Get("ms"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	time.Sleep(pause)
	writeText(w, "slept")
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

func length(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	writeText(w, strconv.FormatInt(n, 10))
}

func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", contract.TextPlain)
	_, _ = io.WriteString(w, text)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
