// SPDX-License-Identifier: MIT

package main

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// session is what the cookie of a visitor who has logged in holds. It is signed:
// nobody can make one or change one. It is not secret, and it cannot be taken back
// before it expires: where that matters keep sessions on the server and put only
// their id here.
type session struct {
	User  string    `json:"user"`
	Since time.Time `json:"since"`
}

const (
	sessionCookie = "session"
	sessionTime   = 12 * time.Hour

	// A real site has a password for each user, and stores none of them: see
	// crypto/pbkdf2 or argon2.
	password = "pleat"

	longestName = 32
)

// currentUser is who the session says the visitor is, "" for nobody. A cookie that
// has expired, or of which a single bit was changed, is as good as none.
func currentUser(c *pleat.Context) string {
	var s session
	if err := c.SecureCookie(sessionCookie, &s); err != nil {
		return ""
	}
	return s.User
}

// loginForm is what the login page shows.
type loginForm struct {
	frame
	Name, Problem string
}

func loginPage(c *pleat.Context) error {
	return c.Render(http.StatusOK, "login", loginForm{frame: newFrame(c)})
}

func login(c *pleat.Context) error {
	form, err := c.FormValues()
	if err != nil {
		return err // too large, or not a form: it knows its status
	}
	name := strings.TrimSpace(form.Get("name"))
	problem := ""
	switch {
	case name == "":
		problem = "Please say who you are."
	case utf8.RuneCountInString(name) > longestName || strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name):
		problem = "That is no name we can remember."
		name = ""
	case subtle.ConstantTimeCompare([]byte(form.Get("password")), []byte(password)) == 0:
		problem = "That is not the password."
	}
	if problem != "" {
		return c.Render(http.StatusUnprocessableEntity, "login", loginForm{newFrame(c), name, problem})
	}
	s := session{User: name, Since: time.Now().UTC().Truncate(time.Second)}
	if err := c.SetSecureCookie(sessionCookie, s, server.WithMaxAge(sessionTime)); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/") // so that reloading the page does not send the form again
}

func logout(c *pleat.Context) error {
	if err := c.ClearCookie(sessionCookie); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/")
}

// sameOrigin is a middleware: it refuses forms that a page of another site has
// sent, which browsers tell by Sec-Fetch-Site and Origin. The cookies of pleat are
// SameSite=Lax and so are not sent with such a form in the first place; but the
// login form comes before any cookie.
func sameOrigin() pleat.Middleware {
	protection := http.NewCrossOriginProtection()
	return func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			if err := protection.Check(c.Request().StdRequest()); err != nil {
				return pleat.NewError(http.StatusForbidden, "This form was sent by another site").WithCause(err)
			}
			return next(c)
		}
	}
}

// userKey is where requireUser leaves the name of the user.
var userKey = pleat.NewKey[string]("user")

// requireUser is a middleware: behind it is a user.
func requireUser(next pleat.Handler) pleat.Handler {
	return func(c *pleat.Context) error {
		user := currentUser(c)
		if user == "" {
			return pleat.NewError(http.StatusUnauthorized, "Log in first").
				WithHeader("WWW-Authenticate", `Cookie form-action="/login", cookie-name="`+sessionCookie+`"`)
		}
		userKey.Set(c, user)
		return next(c)
	}
}
