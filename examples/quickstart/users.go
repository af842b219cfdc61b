// SPDX-License-Identifier: MIT

package main

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/pleat-go/pleat"
)

type user struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Born int    `json:"born"`
}

var users = []user{
	{1, "Ada Lovelace", 1815},
	{2, "Grace Hopper", 1906},
	{3, "Radia Perlman", 1951},
}

func listUsers(c *pleat.Context) error { return c.JSON(http.StatusOK, users) }

func showUser(c *pleat.Context) error {
	id, err := c.ParamInt("id")
	if err != nil {
		return err // 404: there is nothing at /api/users/ada
	}
	i := slices.IndexFunc(users, func(u user) bool { return u.ID == id })
	if i < 0 {
		return pleat.NewError(http.StatusNotFound, "There is no user "+strconv.FormatInt(id, 10))
	}
	return c.JSON(http.StatusOK, users[i])
}

func whoAmI(c *pleat.Context) error {
	name, _ := userKey.Get(c)
	return c.JSON(http.StatusOK, map[string]string{"user": name})
}
