// SPDX-License-Identifier: MIT

package main

import (
	"io"
	"net/http"
	"strconv"

	"github.com/pleat-go/pleat/server"
)

// serveBare keeps the contract with package server alone.
func serveBare(r *server.HTTPRequest) {
	if err := answer(r); err != nil {
		// What is wrong with the request has a status; where the connection broke
		// there is nobody left to be told.
		_ = r.SendError(err)
	}
}

func answer(r *server.HTTPRequest) error {
	get := r.Method() == http.MethodGet || r.Method() == http.MethodHead
	post := r.Method() == http.MethodPost
	switch path := r.Path(); {
	case path == "/ok" && get:
		return sendText(r, http.StatusOK, "ok")
	case path == "/echo" && post:
		body, err := r.Body()
		if err != nil {
			return err
		}
		return r.SendResponse(http.StatusOK, r.Header().Get("Content-Type"), body)
	case path == "/len" && (get || post):
		n, err := io.Copy(io.Discard, r.BodyReader())
		if err != nil {
			return err
		}
		return sendText(r, http.StatusOK, strconv.FormatInt(n, 10))
	case path == "/204" && get:
		return r.SetStatus(http.StatusNoContent)
	case path == "/304" && get:
		return r.SetStatus(http.StatusNotModified)
	case path == "/stream" && get:
		for _, part := range parts {
			if _, err := r.WriteString(part); err != nil {
				return err
			}
			if err := r.Flush(); err != nil {
				return err
			}
		}
		return nil
	}
	return sendText(r, http.StatusNotFound, "not found\n")
}

func sendText(r *server.HTTPRequest, status int, text string) error {
	return r.SendString(status, "text/plain; charset=utf-8", text)
}
