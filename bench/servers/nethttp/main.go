// SPDX-License-Identifier: MIT

// Command nethttp is the benchmark server on net/http alone: ServeMux and
// middleware as it is usually written by hand.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/bench/contract"
)

func main() { contract.Main("nethttp", contract.SampleCookie, serve) }

func serve(o contract.Options) error {
	s := &site{log: o.Logger(), sessions: contract.NewSessions(), upstream: contract.NewUpstream(o.Upstream), file: o.File}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, contract.Hello) })
	mux.HandleFunc("GET /json", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, contract.Message{Message: contract.Hello})
	})
	mux.HandleFunc("GET /slow", slow)
	mux.HandleFunc("GET /upstream", s.relay)
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, s.file) })
	mux.HandleFunc("GET /ok", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	mux.HandleFunc("POST /echo", echo)
	mux.HandleFunc("GET /len", length)
	mux.HandleFunc("POST /len", length)
	mux.Handle("GET /app/users/{id}", s.stack("/app/users/{id}", s.profile))
	mux.Handle("POST /app/users", s.stack("/app/users", s.addUser))
	return contract.ServeHTTP(o, "nethttp", mux)
}

type site struct {
	log      zerolog.Logger
	sessions *contract.Sessions
	users    contract.Users
	upstream *contract.Upstream
	file     string
}

// visit is what the stack knows about a request.
type visit struct {
	http.ResponseWriter
	status    int
	bytes     int64
	requestID string
	client    string
	session   contract.Session
}

func (v *visit) WriteHeader(status int) {
	v.status = status
	v.ResponseWriter.WriteHeader(status)
}

func (v *visit) Write(p []byte) (int, error) {
	if v.status == 0 {
		v.status = http.StatusOK
	}
	n, err := v.ResponseWriter.Write(p)
	v.bytes += int64(n)
	return n, err
}

func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// stack is the middleware around the handlers below /app.
func (s *site) stack(route string, h func(v *visit, r *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		v := &visit{ResponseWriter: w, requestID: contract.NewRequestID()}
		w.Header().Set("X-Request-Id", v.requestID)
		v.client = clientOf(r)
		if cookie, err := r.Cookie(contract.SessionCookie); err == nil {
			v.session = s.sessions.Read(cookie.Value)
		}
		defer func() {
			if e := recover(); e != nil {
				s.log.Error().Interface("panic", e).Msg("handler panicked")
				writeText(v, http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
			}
			contract.LogRequest(&s.log, &contract.Access{
				Method: r.Method, Path: r.URL.Path, Route: route, Status: v.status, Bytes: v.bytes,
				Start: start, Remote: v.client, RequestID: v.requestID,
			})
		}()
		h(v, r)
	})
}

func (s *site) profile(v *visit, r *http.Request) {
	writeJSON(v, http.StatusOK, contract.Profile{ID: r.PathValue("id"), User: v.session.User, Client: v.client})
}

func (s *site) addUser(v *visit, r *http.Request) {
	var u contract.NewUser
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/json" {
		writeJSON(v, http.StatusUnsupportedMediaType, contract.Failure{Error: "want JSON"})
		return
	}
	if err := json.NewDecoder(http.MaxBytesReader(v, r.Body, contract.MaxBody)).Decode(&u); err != nil {
		writeJSON(v, statusOf(err), contract.Failure{Error: err.Error()})
		return
	}
	if err := u.Check(); err != nil {
		writeJSON(v, http.StatusUnprocessableEntity, contract.Failure{Error: err.Error()})
		return
	}
	writeJSON(v, http.StatusCreated, s.users.Add(u))
}

func (s *site) relay(w http.ResponseWriter, r *http.Request) {
	m, err := s.upstream.Get(r.Context())
	if err != nil {
		http.Error(w, "bad gateway", http.StatusBadGateway)
		return
	}
	writeJSON(w, http.StatusOK, m)
}

func slow(w http.ResponseWriter, r *http.Request) {
	pause, err := contract.Pause(r.URL.Query().Get("ms"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	time.Sleep(pause)
	writeText(w, http.StatusOK, "slept")
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, contract.MaxBody))
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

func length(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, contract.MaxBody))
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	writeText(w, http.StatusOK, strconv.FormatInt(n, 10))
}

func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", contract.TextPlain)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
