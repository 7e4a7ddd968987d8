-- A studio's records as the version that knew schema 1 wrote them to SQLite; so do its words for PostgreSQL, but for
-- DOUBLE PRECISION.

CREATE TABLE meta (
  name VARCHAR(40) NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name)
);
CREATE TABLE workspaces (
  workspace_id VARCHAR(36) NOT NULL,
  name VARCHAR(200) NOT NULL,
  created_at DOUBLE NOT NULL,
  PRIMARY KEY (workspace_id),
  UNIQUE (name)
);
CREATE TABLE api_keys (
  key_hash VARCHAR(64) NOT NULL,
  workspace_id VARCHAR(36) NOT NULL,
  label VARCHAR(100) NOT NULL,
  created_at DOUBLE NOT NULL,
  PRIMARY KEY (key_hash),
  FOREIGN KEY(workspace_id) REFERENCES workspaces (workspace_id)
);
CREATE TABLE models (
  model_id VARCHAR(36) NOT NULL,
  workspace_id VARCHAR(36) NOT NULL,
  name TEXT NOT NULL,
  file_name TEXT NOT NULL,
  file_type VARCHAR(10) NOT NULL,
  file_path TEXT NOT NULL,
  status VARCHAR(20) NOT NULL,
  error_message TEXT,
  facts JSON,
  created_at DOUBLE NOT NULL,
  confirmed_at DOUBLE,
  finished_at DOUBLE,
  PRIMARY KEY (model_id),
  FOREIGN KEY(workspace_id) REFERENCES workspaces (workspace_id)
);
CREATE TABLE projects (
  project_id VARCHAR(36) NOT NULL,
  workspace_id VARCHAR(36) NOT NULL,
  name TEXT NOT NULL,
  template_id VARCHAR(200) NOT NULL,
  created_at DOUBLE NOT NULL,
  PRIMARY KEY (project_id),
  FOREIGN KEY(workspace_id) REFERENCES workspaces (workspace_id)
);
CREATE TABLE project_models (
  project_id VARCHAR(36) NOT NULL,
  position INTEGER NOT NULL,
  model_id VARCHAR(36) NOT NULL,
  PRIMARY KEY (project_id, position),
  FOREIGN KEY(project_id) REFERENCES projects (project_id),
  FOREIGN KEY(model_id) REFERENCES models (model_id)
);
CREATE TABLE render_jobs (
  job_id VARCHAR(36) NOT NULL,
  workspace_id VARCHAR(36) NOT NULL,
  project_id VARCHAR(36) NOT NULL,
  batch_id VARCHAR(36) NOT NULL,
  settings JSON NOT NULL,
  status VARCHAR(20) NOT NULL,
  error_message TEXT,
  created_at DOUBLE NOT NULL,
  queued_at DOUBLE NOT NULL,
  started_at DOUBLE,
  finished_at DOUBLE,
  PRIMARY KEY (job_id),
  FOREIGN KEY(workspace_id) REFERENCES workspaces (workspace_id),
  FOREIGN KEY(project_id) REFERENCES projects (project_id)
);
CREATE TABLE renders (
  render_id VARCHAR(36) NOT NULL,
  job_id VARCHAR(36) NOT NULL,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  file_path TEXT NOT NULL,
  file_type VARCHAR(20) NOT NULL,
  is_video BOOLEAN NOT NULL,
  PRIMARY KEY (render_id),
  FOREIGN KEY(job_id) REFERENCES render_jobs (job_id)
);
CREATE TABLE webhooks (
  workspace_id VARCHAR(36) NOT NULL,
  webhook_id VARCHAR(36) NOT NULL,
  url TEXT NOT NULL,
  secret VARCHAR(100) NOT NULL,
  events JSON NOT NULL,
  enabled BOOLEAN NOT NULL,
  description TEXT,
  created_at DOUBLE NOT NULL,
  updated_at DOUBLE NOT NULL,
  PRIMARY KEY (workspace_id),
  FOREIGN KEY(workspace_id) REFERENCES workspaces (workspace_id),
  UNIQUE (webhook_id)
);
CREATE INDEX ix_api_keys_workspace_id ON api_keys (workspace_id);
CREATE INDEX models_by_status ON models (status, confirmed_at);
CREATE INDEX ix_project_models_model_id ON project_models (model_id);
CREATE INDEX ix_render_jobs_project_id ON render_jobs (project_id);
CREATE INDEX render_jobs_by_status ON render_jobs (status, queued_at);
CREATE INDEX ix_render_jobs_batch_id ON render_jobs (batch_id);
CREATE UNIQUE INDEX renders_by_job ON renders (job_id, position);
INSERT INTO meta VALUES('schema','1');
INSERT INTO workspaces VALUES('w','default',100.0);
INSERT INTO api_keys VALUES('0123abcd','w','folder',101.0);
INSERT INTO models VALUES('m','w','Chair','chair.glb','glb','workspaces/w/models/m/model.glb','READY',NULL,'{"triangles": 12}',102.0,103.0,104.0);
INSERT INTO models VALUES('n','w','Lamp','lamp.glb','glb','workspaces/w/models/n/model.glb','PENDING',NULL,NULL,102.5,103.5,NULL);
INSERT INTO projects VALUES('p','w','Chair','t',105.0);
INSERT INTO project_models VALUES('p',0,'m');
INSERT INTO render_jobs VALUES('j','w','p','b','{"imageQuality": 1}','COMPLETED',NULL,106.0,106.0,107.0,108.0);
INSERT INTO renders VALUES('r','j',0,'Front View - Default','workspaces/w/renders/j/r.png','PNG',FALSE);
INSERT INTO webhooks VALUES('w','h','https://shop.example/hook','secret','["render.complete"]',TRUE,NULL,109.0,109.0);
