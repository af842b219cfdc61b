// SPDX-License-Identifier: MIT

package contract

import (
	"errors"
	"sync"
)

// NewUser is what POST /app/users takes.
type NewUser struct {
	Name string `json:"name"`
	Age  int    `json:"age"`
}

// Check says what is wrong with the values, which is answered with 422.
func (u NewUser) Check() error {
	switch {
	case u.Name == "":
		return errors.New("name: must not be empty")
	case u.Age < 0 || u.Age > 150:
		return errors.New("age: must be 0 to 150")
	}
	return nil
}

// User is a stored user.
type User struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Age  int    `json:"age"`
}

// Users stores the last thousand users or so: a benchmark adds more of them than
// memory holds. The zero value is empty. It is safe for concurrent use.
type Users struct {
	mu   sync.Mutex
	last int64
	ring [1024]User
}

// Add stores a user under the next id. It keeps name: frameworks whose strings
// do not outlive the request must copy it before.
func (s *Users) Add(u NewUser) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	user := User{ID: s.last, Name: u.Name, Age: u.Age}
	s.ring[s.last%int64(len(s.ring))] = user
	return user
}
