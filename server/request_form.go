// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
)

const (
	// formMemory is how much of a multipart form's files is kept in memory; the
	// rest goes to temporary files.
	formMemory = 256 << 10
	// formSize bounds an urlencoded form, which is held in memory whole.
	formSize = 10 << 20
	// epilogueSize bounds what is read behind a multipart form.
	epilogueSize = 16 << 10
)

// ErrForm is returned for a body that claims to be a form and cannot be read as
// one; its StatusCode is 400.
var ErrForm error = &bodyError{http.StatusBadRequest, "server: malformed form", nil}

// formState is guarded by requestExtra.mu, except for parsing, which mu is not
// held for.
type formState struct {
	values url.Values
	multi  *multipart.Form
	err    error
}

// Form is the form in the body: application/x-www-form-urlencoded or the value
// parts of multipart/form-data. It is empty for other content types. The body is
// read on the first call; all callers share the result, which is to be changed
// only in a copy. Form and Files must not be called for the first time from two
// goroutines at once.
func (r *HTTPRequest) Form() (url.Values, error) {
	f := r.parseForm()
	if f.values == nil {
		return url.Values{}, f.err
	}
	return f.values, f.err
}

// Files are the file parts of a multipart form. Larger files are kept in
// temporary files that are removed when the request is done.
func (r *HTTPRequest) Files() (map[string][]*multipart.FileHeader, error) {
	f := r.parseForm()
	if f.multi == nil {
		return nil, f.err
	}
	return f.multi.File, f.err
}

// File is the first file part of that name; http.ErrMissingFile when there is
// none.
func (r *HTTPRequest) File(name string) (*multipart.FileHeader, error) {
	files, err := r.Files()
	if err != nil {
		return nil, err
	}
	if len(files[name]) == 0 {
		return nil, http.ErrMissingFile
	}
	return files[name][0], nil
}

func (r *HTTPRequest) parseForm() formState {
	e := r.extras()
	e.mu.Lock()
	kept := e.form
	e.mu.Unlock()
	if kept != nil {
		return *kept
	}
	f := r.readForm()
	e.mu.Lock()
	ended := e.ended
	if !ended {
		e.form = &f
	}
	e.mu.Unlock()
	if ended { // the request was done while its form was read
		r.removeFiles(f.multi)
		return formState{err: ErrRequestDone}
	}
	return f
}

func (r *HTTPRequest) readForm() (f formState) {
	mediaType, params, err := mime.ParseMediaType(r.Header().Get("Content-Type"))
	if err != nil {
		return f // no type, or none to make sense of: no form
	}
	switch mediaType {
	case "application/x-www-form-urlencoded":
		if r.ContentLength() > formSize {
			f.err = ErrBodyTooLarge
			return f
		}
		body, err := io.ReadAll(io.LimitReader(r.BodyReader(), formSize+1))
		if err == nil && len(body) > formSize {
			err = ErrBodyTooLarge
		}
		if err != nil {
			f.err = err
			return f
		}
		if f.values, err = url.ParseQuery(string(body)); err != nil {
			f.values, f.err = nil, ErrForm
		}
	case "multipart/form-data":
		if params["boundary"] == "" {
			f.err = ErrForm
			return f
		}
		f.multi, err = multipart.NewReader(r.BodyReader(), params["boundary"]).ReadForm(formMemory)
		if err != nil {
			f.err = formError(err)
			return f
		}
		f.values = url.Values(f.multi.Value)
		// The form ends before its body does, by what the framing adds at least. To
		// answer in between would have net/http end an HTTP/2 connection on which a
		// trailer section is still to come. An error there is none of the form.
		_, _ = io.Copy(io.Discard, io.LimitReader(r.BodyReader(), epilogueSize))
	}
	return f
}

// formError keeps errors that say what went wrong with the body as such.
func formError(err error) error {
	var perr *ProtocolError
	var berr *bodyError
	switch {
	case errors.Is(err, multipart.ErrMessageTooLarge):
		return ErrBodyTooLarge
	case errors.As(err, &perr), errors.As(err, &berr), errors.Is(err, ErrRequestDone):
		return err
	}
	return ErrForm
}

// cleanUpForm removes the temporary files of a form.
func (r *HTTPRequest) cleanUpForm() {
	e := r.extra.Load()
	if e == nil {
		return
	}
	e.mu.Lock()
	kept := e.form
	e.ended = true
	e.mu.Unlock()
	if kept != nil {
		r.removeFiles(kept.multi)
	}
}

func (r *HTTPRequest) removeFiles(multi *multipart.Form) {
	if multi != nil {
		if err := multi.RemoveAll(); err != nil {
			r.Logger().Warn().Err(err).Msg("server: removing temporary files of a form")
		}
	}
}
