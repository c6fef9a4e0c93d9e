package workspace

import (
	"sort"
	"strings"
)

func (w *Workspace) usersInfo(q *request) (answer, *apiError) {
	u := w.users[q.arg("user")]
	if u == nil {
		return nil, refuse("user_not_found")
	}
	return answer{"user": w.userOnWire(u, q)}, nil
}

func (w *Workspace) usersList(q *request) (answer, *apiError) {
	var all []answer
	for _, u := range w.sortedUsers() {
		if u.TeamID == w.opts.TeamID { // strangers are not members
			all = append(all, w.userOnWire(u, q))
		}
	}
	page, next, e := paginate(q, all, 1000, 1000)
	if e != nil {
		return nil, e
	}
	return answer{"members": page, "cache_ts": w.opts.Now().Unix(), "response_metadata": answer{"next_cursor": next}}, nil
}

func (w *Workspace) usersLookupByEmail(q *request) (answer, *apiError) {
	email := strings.ToLower(strings.TrimSpace(q.arg("email")))
	for _, u := range w.sortedUsers() {
		if email != "" && strings.ToLower(u.Email) == email && !u.Deleted && u.TeamID == w.opts.TeamID {
			return answer{"user": w.userOnWire(u, q)}, nil
		}
	}
	return nil, refuse("users_not_found")
}

func (w *Workspace) usergroupsList(q *request) (answer, *apiError) {
	out := []answer{}
	for _, g := range w.opts.Usergroups {
		a := answer{"id": g.ID, "team_id": w.opts.TeamID, "is_usergroup": true, "name": g.Name, "handle": g.Handle, "description": "", "is_external": false,
			"date_create": 0, "date_update": 0, "date_delete": 0, "prefs": answer{"channels": []string{}, "groups": []string{}}, "user_count": len(g.Members)}
		if q.flag("include_users") {
			a["users"] = g.Members
		}
		out = append(out, a)
	}
	return answer{"usergroups": out}, nil
}

func (w *Workspace) usergroupsUsersList(q *request) (answer, *apiError) {
	for _, g := range w.opts.Usergroups {
		if g.ID == q.arg("usergroup") {
			users := g.Members
			if users == nil {
				users = []string{}
			}
			return answer{"users": users}, nil
		}
	}
	return nil, refuse("no_such_subteam")
}

// userOnWire is a user as users.info shows it. The e-mail takes users:read.email.
func (w *Workspace) userOnWire(u *User, q *request) answer {
	profile := answer{"real_name": u.RealName, "real_name_normalized": u.RealName, "display_name": u.Name, "display_name_normalized": u.Name,
		"title": u.Title, "team": u.TeamID}
	if q.need("users:read.email") == nil && !u.Bot {
		profile["email"] = u.Email
	}
	out := answer{"id": u.ID, "team_id": u.TeamID, "name": u.Name, "deleted": u.Deleted, "real_name": u.RealName, "profile": profile,
		"is_bot": u.Bot, "is_app_user": false, "updated": 0, "tz": "UTC", "tz_label": "UTC", "tz_offset": 0}
	if !u.Deleted {
		out["is_admin"], out["is_owner"], out["is_primary_owner"] = u.Admin, false, false
		out["is_restricted"], out["is_ultra_restricted"] = u.Restricted || u.UltraRestricted, u.UltraRestricted
	}
	if u.Stranger {
		out["is_stranger"] = true
	}
	return out
}

func (w *Workspace) sortedUsers() []*User {
	out := make([]*User, 0, len(w.users))
	for _, u := range w.users {
		out = append(out, u)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}
