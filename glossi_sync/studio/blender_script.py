"""What runs in Blender's own Python: told what to do by ``blender``, a line of JSON at a time. Imports nothing of ours.

Places and directions come in as glTF has them (+Y up, +Z the front) and are turned into Blender's (+Z up, -Y the
front) here. Arrays are passed in files (``.npy``); colours are linear light.
"""

import json
import math
import os
import sys
import threading
from pathlib import Path
from typing import Any

TO_BLENDER = ((1, 0, 0, 0), (0, 0, -1, 0), (0, 1, 0, 0), (0, 0, 0, 1))


def main() -> None:
    # Blender chats on standard output, which is where the answers go.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    lines = _Lines()
    import bpy  # noqa: PLC0415 - takes seconds, and the owner may have gone by then

    studio = _Studio(bpy)
    while True:
        asked = lines.next()
        try:
            done = getattr(studio, "do_" + asked.pop("do"))(**asked)
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        else:
            answer = {"done": done}
        answers.write(json.dumps(answer) + "\n")


class _Lines:
    """Standard input, read in a thread of its own: when it ends, so does this process, whatever it is doing."""

    def __init__(self) -> None:
        self._waiting: list[Any] = []
        self._there = threading.Semaphore(0)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._waiting.append(json.loads(line))
            self._there.release()
        os._exit(0)

    def next(self) -> Any:
        self._there.acquire()
        return self._waiting.pop(0)


class _Studio:
    """A set in Blender: light, floor and backdrop, and models upon it, one of them shown."""

    def __init__(self, bpy: Any) -> None:
        import numpy  # noqa: PLC0415 - Blender's own
        from mathutils import Matrix, Vector  # type: ignore[import-not-found]  # noqa: PLC0415 - Blender's own

        self.bpy, self.np, self.Matrix, self.Vector = bpy, numpy, Matrix, Vector
        self.models: dict[str, Any] = {}
        bpy.ops.wm.read_factory_settings(use_empty=True)

    def do_version(self) -> str:
        device = "GPU" if self._use_gpu() else "CPU"
        return f"{self.bpy.app.version_string}, on {device}"

    # --- conversion --------------------------------------------------------------------------------------------------

    def do_convert(self, source: str, target: str) -> None:
        """An FBX to a GLB: as it stands in its first frame, with its materials and textures."""
        bpy = self.bpy
        bpy.ops.wm.fbx_import(filepath=source)
        if not any(thing.type == "MESH" for thing in bpy.data.objects):
            raise ValueError("the file holds no mesh")
        for image in list(bpy.data.images):
            # A file may name any picture of this machine.
            if image.packed_file is None and not self._beside(image.filepath, source):
                bpy.data.images.remove(image)
        bpy.ops.export_scene.gltf(
            filepath=target,
            export_format="GLB",
            export_yup=True,
            export_apply=True,
            export_lights=False,
            export_cameras=False,
            export_animations=False,
            export_skins=False,
            export_morph=False,
        )

    def _beside(self, path: str, source: str) -> bool:
        found = Path(self.bpy.path.abspath(path)).resolve()
        return found.is_relative_to(Path(source).resolve().parent) and found.is_file()

    # --- pictures ----------------------------------------------------------------------------------------------------

    def do_set(self, environment: str, lights: list[Any], mesh: str) -> None:
        bpy, np = self.bpy, self.np
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = self.scene = bpy.context.scene
        scene.render.engine = "CYCLES"
        scene.cycles.device = "GPU" if self._use_gpu() else "CPU"
        scene.cycles.use_denoising = True
        scene.cycles.denoiser = "OPENIMAGEDENOISE"
        scene.cycles.use_adaptive_sampling = True
        scene.cycles.adaptive_threshold = 0.02
        scene.cycles.seed = 0
        scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False
        scene.cycles.sample_clamp_indirect = 10.0
        scene.cycles.transparent_max_bounces = 32
        scene.render.use_persistent_data = True
        scene.render.resolution_percentage = 100
        scene.render.image_settings.file_format = "OPEN_EXR"
        scene.render.image_settings.color_mode = "RGBA"
        scene.render.image_settings.color_depth = "32"
        scene.view_settings.view_transform = "Raw"
        camera = bpy.data.cameras.new("camera")
        camera.sensor_fit = "VERTICAL"
        camera.clip_start, camera.clip_end = 0.01, 200.0
        self.camera = bpy.data.objects.new("camera", camera)
        scene.collection.objects.link(self.camera)
        scene.camera = self.camera
        self._light_by(np.load(environment))
        for light in lights:
            self._add_light(light)
        self._build_sweep(np.load(mesh))

    def _light_by(self, panorama: Any) -> None:
        bpy, np = self.bpy, self.np
        # Its middle column looks along +Z, which is -Y here; Blender's looks along +X.
        turned = np.roll(panorama, panorama.shape[1] // 4, axis=1)
        world = bpy.data.worlds.new("world")
        self.scene.world = world
        world.use_nodes = True
        nodes, links = world.node_tree.nodes, world.node_tree.links
        nodes.clear()
        picture = nodes.new("ShaderNodeTexEnvironment")
        picture.image = self._image("environment", turned[::-1])
        background, out = nodes.new("ShaderNodeBackground"), nodes.new("ShaderNodeOutputWorld")
        links.new(picture.outputs["Color"], background.inputs["Color"])
        links.new(background.outputs["Background"], out.inputs["Surface"])

    def _add_light(self, light: dict[str, Any]) -> None:
        bpy = self.bpy
        sun = bpy.data.lights.new(light["name"], "SUN")
        # A white card that faces it shows the light's strength over pi.
        sun.energy = math.pi * light["illuminance"]
        sun.color = light["color"]
        sun.angle = math.radians(light["size"])
        sun.use_shadow = light["shadows"]
        thing = bpy.data.objects.new(light["name"], sun)
        towards = self._vector(light["towards"])
        thing.rotation_mode = "QUATERNION"
        thing.rotation_quaternion = (-towards).to_track_quat("-Z", "Y")
        self.scene.collection.objects.link(thing)

    def _build_sweep(self, arrays: Any) -> None:
        bpy, np = self.bpy, self.np
        positions, faces, uvs = arrays["positions"], arrays["indices"], arrays["uvs"]
        mesh = bpy.data.meshes.new("sweep")
        placed = positions @ np.array(TO_BLENDER)[:3, :3].T
        mesh.from_pydata(placed.tolist(), [], faces.tolist())
        layer = mesh.uv_layers.new(name="UVMap")
        layer.data.foreach_set("uv", uvs[faces.ravel()].astype(np.float32).ravel())
        mesh.attributes.new("seen", "FLOAT_COLOR", "POINT")
        material = bpy.data.materials.new("sweep")
        material.use_nodes = True
        nodes, links = material.node_tree.nodes, material.node_tree.links
        nodes.clear()
        self.floor = nodes.new("ShaderNodeTexImage")
        self.floor.extension, self.floor.interpolation = "EXTEND", "Linear"
        self.floor.image = self._image("floor", np.ones((4, 4, 3), np.float32))
        color = nodes.new("ShaderNodeAttribute")
        color.attribute_name = "seen"
        product = nodes.new("ShaderNodeVectorMath")
        product.operation = "MULTIPLY"
        shine, out = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
        links.new(self.floor.outputs["Color"], product.inputs[0])
        links.new(color.outputs["Color"], product.inputs[1])
        links.new(product.outputs["Vector"], shine.inputs["Color"])
        links.new(shine.outputs["Emission"], out.inputs["Surface"])
        mesh.materials.append(material)
        sweep = self.sweep = bpy.data.objects.new("sweep", mesh)
        # It is what is seen, not what lights: the environment has the light of floor and walls in it.
        sweep.visible_diffuse = sweep.visible_glossy = sweep.visible_shadow = sweep.visible_volume_scatter = False
        self.scene.collection.objects.link(sweep)

    def do_colors(self, colors: str) -> None:
        """The sweep's radiance at each vertex (n, 3)."""
        np = self.np
        seen = np.load(colors)
        rows = np.ones((len(seen), 4), np.float32)
        rows[:, :3] = seen
        self.sweep.data.attributes["seen"].data.foreach_set("color", rows.ravel())
        self.sweep.data.update()

    def do_floor(self, light: str) -> None:
        """How much of its colour the floor's patch shows (n, n, 3): shadows."""
        before = self.floor.image
        self.floor.image = self._image("floor", self.np.load(light))
        self.bpy.data.images.remove(before)

    def do_load(self, name: str, path: str, films: dict[str, list[float]]) -> None:
        """Bring a GLB in, hidden. ``films``: by material, a thin film's thickness in nanometres and its index of
        refraction, which the importer leaves out."""
        bpy = self.bpy
        before, materials = set(bpy.data.objects), set(bpy.data.materials)
        bpy.ops.import_scene.gltf(filepath=path)
        fresh = [thing for thing in bpy.data.objects if thing not in before]
        root = bpy.data.objects.new(name, None)
        self.scene.collection.objects.link(root)
        for thing in [thing for thing in fresh if thing.type in {"LIGHT", "CAMERA"}]:
            fresh.remove(thing)
            bpy.data.objects.remove(thing)
        for thing in fresh:
            if thing.parent is None:
                thing.parent = root
        self.models[name] = root, [thing for thing in fresh if thing.type == "MESH"]
        for material in set(bpy.data.materials) - materials:
            film = films.get(material.name.partition(".")[0])
            surface = material.node_tree.nodes.get("Principled BSDF")
            if film and surface:
                surface.inputs["Thin Film Thickness"].default_value = film[0]
                surface.inputs["Thin Film IOR"].default_value = film[1]
        self._show(name, False)

    def do_show(self, name: str, transform: list[list[float]]) -> None:
        """Show a model, and no other, under a transform (4, 4)."""
        to = self.Matrix(TO_BLENDER)
        for other in self.models:
            self._show(other, other == name)
        self.models[name][0].matrix_world = to @ self.Matrix(transform) @ to.inverted()

    def do_drop(self, name: str) -> None:
        root, _ = self.models.pop(name)
        for thing in (*root.children_recursive, root):
            self.bpy.data.objects.remove(thing)
        self.bpy.data.orphans_purge(do_recursive=True)

    def do_draw(
        self,
        position: list[float],
        target: list[float],
        field_of_view: float,
        size: list[int],
        samples: int,
        alone: bool,
        folder: str,
    ) -> str:
        """A picture (height, width, 4) in linear light, as ``.npy``; ``alone``: the product before nothing."""
        bpy, np = self.bpy, self.np
        scene = self.scene
        at, to = self._vector(position), self._vector(target)
        self.camera.location = at
        self.camera.rotation_mode = "QUATERNION"
        self.camera.rotation_quaternion = (to - at).to_track_quat("-Z", "Y")
        self.camera.data.angle_y = math.radians(field_of_view)
        scene.render.resolution_x, scene.render.resolution_y = size
        scene.cycles.samples = samples
        scene.render.film_transparent = alone
        scene.cycles.use_denoising = not alone
        self.sweep.hide_render = alone
        scene.render.filepath = str(Path(folder) / "drawn.exr")
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath)
        pixels = np.empty(4 * size[0] * size[1], np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        path = str(Path(folder) / "drawn.npy")
        np.save(path, pixels.reshape(size[1], size[0], 4)[::-1])
        return path

    def _show(self, name: str, shown: bool) -> None:
        for thing in self.models[name][1]:
            thing.hide_render = not shown

    def _vector(self, place: list[float]) -> Any:
        return self.Matrix(TO_BLENDER).to_3x3() @ self.Vector(place)

    def _image(self, name: str, pixels: Any) -> Any:
        """An image of linear light; the array's first row is its lowest."""
        np = self.np
        height, width = pixels.shape[:2]
        image = self.bpy.data.images.new(name, width, height, float_buffer=True, is_data=True)
        rows = np.ones((height, width, 4), np.float32)
        rows[..., :3] = pixels
        image.pixels.foreach_set(rows.ravel())
        image.update()
        return image

    def _use_gpu(self) -> bool:
        addon = self.bpy.context.preferences.addons.get("cycles")
        if addon is None:
            return False
        preferences = addon.preferences
        for kind in ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI"):
            try:
                preferences.compute_device_type = kind
                preferences.refresh_devices()
            except (TypeError, AttributeError, RuntimeError):
                continue
            found = [device for device in preferences.devices if device.type == kind]
            if found:
                for device in preferences.devices:
                    device.use = device.type == kind
                return True
        return False


if __name__ == "__main__":
    main()
