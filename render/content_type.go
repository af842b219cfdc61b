// SPDX-License-Identifier: MIT

package render

// Content types, ready for a Content-Type field and for [Negotiate]. The text
// types name their charset because a client may otherwise guess it. The JSON
// types do not: JSON between systems is always UTF-8, and no charset parameter
// is defined for it (RFC 8259 §8.1 and §11).
const (
	ContentTypeText          = "text/plain; charset=utf-8"
	ContentTypeHTML          = "text/html; charset=utf-8"
	ContentTypeXML           = "application/xml; charset=utf-8"
	ContentTypeJSON          = "application/json"
	ContentTypeProblem       = "application/problem+json" // RFC 9457
	ContentTypeEvents        = "text/event-stream"        // WHATWG HTML §9.2
	ContentTypeForm          = "application/x-www-form-urlencoded"
	ContentTypeMultipartForm = "multipart/form-data" // wants a boundary parameter
	ContentTypeBinary        = "application/octet-stream"
)
