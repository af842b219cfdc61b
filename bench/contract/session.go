// SPDX-License-Identifier: MIT

package contract

import (
	"github.com/gorilla/securecookie"
)

// SessionCookie is the name of the signed cookie.
const SessionCookie = "session"

// Session is the JSON in the signed cookie.
type Session struct {
	User string `json:"user"`
}

// SampleSession is the session whose cookie the flag -cookie prints.
var SampleSession = Session{User: "alice"}

// Secret signs the cookies.
var Secret = []byte("a secret of the benchmark and of nothing else")

// Sessions reads and writes signed session cookies with securecookie. It is safe
// for concurrent use.
type Sessions struct{ codec *securecookie.SecureCookie }

// NewSessions makes the codec of the session cookies.
func NewSessions() *Sessions {
	const age = 30 * 24 * 60 * 60
	return &Sessions{securecookie.New(Secret, nil).SetSerializer(securecookie.JSONEncoder{}).MaxAge(age)}
}

// Cookie is the value of a cookie with the session.
func (s *Sessions) Cookie(session Session) (string, error) {
	return s.codec.Encode(SessionCookie, session)
}

// Read is the session in the value of a cookie, the zero Session when there is
// none or it is not genuine.
func (s *Sessions) Read(cookie string) (session Session) {
	if cookie == "" || s.codec.Decode(SessionCookie, cookie, &session) != nil {
		return Session{}
	}
	return session
}

// SampleCookie is the cookie of servers that use Sessions.
func SampleCookie() (string, error) { return NewSessions().Cookie(SampleSession) }
