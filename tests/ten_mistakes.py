"""A spec with ten different mistakes, each in a place of its own."""

TEN_MISTAKES = """\
version: 1
workspace: shop
names: replac
models:
  lamp:
    nmae: Desk Lamp
    file: models/lamp.glb
  chair:
    file: models/chair.blend
templates:
  studio: {name: Studio Light, id: abc}
renderSettings:
  web: {imageQuality: 3}
projects:
  lamp:
    models: [lmap]
    template: studoi
    renders: [web, print]
webhook:
  url: https://shop.example/hooks
  events: [render.completed]
"""
